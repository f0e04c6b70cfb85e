  // ---------------------------------------------------------------- routes

  let opened = false;
  function route() {
    const hash = location.hash;
    const [, page, rest] = hash.split("/");
    clear();
    methods.hidden = true;
    let title = "Cohort", tab = "#/cohort";
    if (page === "patient" && D.subject_pages) {
      let id = "";
      try { id = decodeURIComponent(rest || ""); } catch { id = ""; }
      const s = D.subjects.findIndex((x) => x.id === id);
      tab = "#/patients";
      if (s >= 0) { title = D.subjects[s].id; patientPage(s); }
      else { title = "Patients"; patientsPage(); }
    } else if ((PCR || IMM) && (page === "plate" || page === "plates")) {
      let id = "";
      try { id = decodeURIComponent(rest || ""); } catch { id = ""; }
      tab = "#/plates";
      if (page === "plate" && plateOpeners.has(id)) { title = id; plateOpeners.get(id)(); }
      else { title = "Plates"; platesPage(); }
    } else if (FLOW && (page === "tube" || page === "tubes")) {
      let id = "";
      try { id = decodeURIComponent(rest || ""); } catch { id = ""; }
      tab = "#/tubes";
      if (page === "tube" && tubeNumber.has(id)) { title = id; tubePage(tubeNumber.get(id)); }
      else { title = "Tubes"; tubesPage(); }
    } else if (CELLS && (page === "library" || page === "libraries")) {
      let id = "";
      try { id = decodeURIComponent(rest || ""); } catch { id = ""; }
      tab = "#/libraries";
      if (page === "library" && libraryNumber.has(id)) { title = id; libraryPage(libraryNumber.get(id)); }
      else { title = "Libraries"; librariesPage(); }
    } else if (CELLS && page === "cells") { title = "Cells"; tab = "#/cells"; cellsPage(); }
    else if (CLONES && page === "clones") { title = "Clones"; tab = "#/clones"; clonesPage(); }
    else if (EFFICACY && page === "efficacy") { title = "Efficacy"; tab = "#/efficacy"; efficacyPage(); }
    else if (page === "patients") { title = "Patients"; tab = "#/patients"; patientsPage(); }
    else if (SAFE && page === "safety") { title = "Safety"; tab = "#/safety"; safetyPage(); }
    else if (INBOX && page === "inbox") { title = "Inbox"; tab = "#/inbox"; inboxPage(); }
    else if (page === "quality") { title = "Quality"; tab = "#/quality"; qualityPage(); }
    else if (page === "methods") { title = "Methods"; tab = "#/methods"; methods.hidden = false; }
    else cohortPage();
    document.title = `${title} · ${D.title}`;
    for (const a of document.querySelectorAll("#nav a")) a.getAttribute("href") === tab ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
    if (opened) {
      scrollTo(0, 0);
      const heading = document.querySelector("#methods:not([hidden]) h1, #view h1");
      if (heading) heading.focus({ preventScroll: true });
    }
    opened = true;
    document.body.dataset.ready = page || "cohort";
  }
  document.querySelector(".skip").addEventListener("click", (e) => { e.preventDefault(); document.getElementById("main").focus(); });
  addEventListener("hashchange", route);
  route();

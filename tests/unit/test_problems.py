import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartrace.problems import InputError, Problem, did_you_mean, holds_date, plain, raise_if_any, redact_dates

DATES = [
    "2021-03-04",
    "2021/3/4",
    "2021.03.04",
    "2021_03_04",
    "20210304",
    "04.03.2021",
    "4.3.21",
    "4/3/2021",
    "03-04-21",
    "4 Mar 2021",
    "04-Mar-2021",
    "04MAR2021",
    "7mar21",
    "4 March 2021",
    "4. März 2021",
    "1. Mai 1999",
    "24.Dez.2020",
    "March 4, 2021",
    "Sept 4 2021",
    "31 December 1961",
    "2021-Mar-04",
    "2021Mar4",
    "May 2020",
    "November_2020",
    "june_2021",
    "Jan2020",
    "Mai, 2021",
    "4th of June 2021",
    "March 1st, 2021",
    "May 17 08:30:00 2031",
    "May 17 08:30:00 UTC 2031",
    "May 17, 08:30 2031",
    "4. 3. 2021",
    "04 / 03 / 2021",
    "2021\u201103\u201104",
    "4\u2013Mar\u20132021",
    "20210304083000",
    "202103040830",
    "2021年3月4日",
    "1er mars 2021",
    "4 février 2021",
    "15 août 2021",
    "31 de diciembre de 2021",
    "4 gennaio 2021",
    "4 maart 2021",
    "décembre 2021",
]

NO_DATES = [
    "1:2560",
    "1:40",
    "12.5.1",
    "v0.30.0",
    "20240",
    "445321",
    "2021",
    "1.5e+05",
    "0.20210304",
    "1,234,567",
    "12.345.678",
    "1/10/100",
    "d28",
    "10/03",
    "2560-5120",
    "<50",
    "P-07_marrow_28",
    "day 7 marrow 14",
    "5 decreasing 10",
    "3 separate 12",
    "visit M6",
    "1e9/L",
    "deadbeefcafe",
    "May_20",
    "above 2000 may be too many",
    "dismay 2020",
    "marrow 2020",
    "March 20",
    "visit 12 of 2020",
    "dec 2560",
    "12:30:45",
    "20210304086000",
    "4 marzipan 2021",
    "20 general 2020",
    "1. 5. 20 mL",
]


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("around", ["{}", "drawn {}", "({})", "'{}';", "plate_{}.csv", "{}T10:00"])
def test_a_calendar_date_is_redacted_wherever_it_stands(date, around):
    text = around.format(date)
    assert holds_date(text)
    assert redact_dates(text) == around.format("<date>")


@pytest.mark.parametrize("text", NO_DATES)
def test_numbers_and_names_that_are_no_dates_stay(text):
    assert not holds_date(text)
    assert redact_dates(text) == text


def test_a_month_of_a_year_inside_a_header_goes():
    assert redact_dates("Neutralisation_May_2020") == "Neutralisation_<date>"
    assert redact_dates("by June 2021, 1:40") == "by <date>, 1:40"
    assert redact_dates("titre 2020-May, 2021_jun") == "titre <date>, <date>"


def test_a_date_goes_also_behind_the_full_stop_of_a_word_but_not_inside_a_number():
    assert redact_dates("geb.29.08.1953") == "geb.<date>"
    assert redact_dates("0.20210304 and 7,20210304") == "0.20210304 and 7,20210304"


def test_a_hash_stays_whole():
    short, long = "abb7e55d846684d2545a021c3b7feb39", f"20310517{'c' * 56}"
    assert not holds_date(f"{short} {long}")
    assert redact_dates(f"of {short}, 2031-05-17, {long}") == f"of {short}, <date>, {long}"
    assert redact_dates(f"x{short}") == f"x{short[:-6]}<date>"


def test_every_date_of_a_text_goes():
    assert redact_dates("from 2021-03-04 to 05.04.2021, 7 samples") == "from <date> to <date>, 7 samples"


@given(
    st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)),
    st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d %b %Y"]),
)
def test_no_date_of_two_centuries_gets_through(date, form):
    text = date.strftime(form)
    assert redact_dates(f"found '{text}'") == "found '<date>'"


MONTHS = """\
january february march april may june july august september october november december
jan feb mar apr jun jul aug sep sept oct nov dec okt dez
januar jänner februar märz mai juni juli oktober dezember
janvier février fevrier mars avril juin juillet août aout septembre octobre novembre décembre janv févr avr juil déc
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
januari februari maart mei augustus
"""


@pytest.mark.parametrize("month", MONTHS.split())
def test_a_month_goes_in_each_language_that_the_documents_name(month):
    for text in (f"4 {month} 2021", f"4. {month.upper()} 21", f"{month.title()} 4, 2021", f"{month} 2021"):
        assert redact_dates(text) == "<date>"
    assert not holds_date(f"4 {month}like 2021")


@given(st.floats(0, 1e7, allow_nan=False))
def test_a_decimal_number_is_no_date(value):
    assert redact_dates(f"{value:.3f}") == f"{value:.3f}"


@given(st.text(max_size=60))
def test_redacting_twice_is_redacting_once(text):
    assert redact_dates(redact_dates(text)) == redact_dates(text)


def test_the_nearest_allowed_word_is_suggested_as_it_is_written():
    assert did_you_mean(" Bloood", ["blood", "CSF"]) == "blood"
    assert did_you_mean("csf ", ["blood", "CSF"]) == "CSF"
    assert did_you_mean("xyz", ["blood", "CSF"]) == ""
    assert did_you_mean("blood", []) == ""


def test_a_problem_names_file_row_column_found_and_allowed():
    problem = Problem("samples.tsv", "'bloood'", "blood, csf", row=7, column="matrix", suggestion="blood")
    assert str(problem) == (
        "samples.tsv, row 7, column 'matrix': found 'bloood'; allowed: blood, csf (did you mean 'blood'?)"
    )


def test_a_problem_without_a_place_names_the_file_alone():
    assert (
        str(Problem("config.yaml", "nothing", "a mapping"))
        == "config.yaml: found nothing; allowed: a mapping"
    )


def test_a_problem_is_one_line_without_dates():
    problem = Problem("x.tsv", "'04.03.1961\n\tborn'", "a day", row=2)
    assert str(problem) == "x.tsv, row 2: found '<date> born'; allowed: a day"


def test_the_error_holds_every_problem_numbered():
    problems = [Problem("a.tsv", "x", "y"), Problem("b.tsv", "2021-03-04", "a day")]
    with pytest.raises(InputError) as caught:
        raise_if_any(problems)
    assert caught.value.problems == tuple(problems)
    assert str(caught.value).splitlines() == [
        "2 problems in the input; nothing was written.",
        "  1. a.tsv: found x; allowed: y",
        "  2. b.tsv: found <date>; allowed: a day",
    ]


def test_one_problem_is_not_called_problems():
    assert str(InputError([Problem("a", "x", "y")])).startswith("1 problem in the input")


def test_no_problem_raises_nothing():
    raise_if_any([])


@given(st.text(max_size=400))
def test_plain_text_is_short_printable_and_without_a_date(text: str) -> None:
    shown = plain(text)
    assert len(shown) <= 200
    assert shown.isprintable()
    assert not holds_date(shown)


def test_plain_text_stays_as_it_is() -> None:
    assert plain("Müller µL-1 (A01)") == "Müller µL-1 (A01)"

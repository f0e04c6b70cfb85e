from cartrace.problems import holds_date
from cartrace.run_log import RunLog


def run_log(*lines):
    heard = RunLog()
    return heard, [heard.take(line) for line in lines]


def test_the_time_of_day_becomes_elapsed_seconds():
    _, lines = run_log("[Sun Nov 22 08:33:44 2026]", "[Sun Nov  1 08:33:44 2026]")
    assert lines == ["[0.0 s]", "[0.0 s]"]


def test_no_calendar_date_stays_in_a_line():
    _, lines = run_log(
        "  Date: 2026-11-22 08:33:44",
        "Complete log(s): .snakemake/log/2026-11-22T083344.440654.snakemake.log",
        "error: row 3 holds 04.03.1961",
    )
    assert not any(holds_date(line) for line in lines)
    assert lines[1].endswith(".snakemake.log")


def test_what_jobs_could_not_read_is_kept_once_and_without_dates():
    heard, _ = run_log(
        "Logfile logs/pcr/quantify_plate/p1.log:",
        "2 problems in the input; nothing was written.",
        "  1. data/p1.txt, row 3: found a date 04.03.1961; allowed: a number",
        "  2. data/p1.txt, row 4: found 'x'; allowed: a number",
        "  3 of 9 steps (33%) done",
        "1 problem in the input; nothing was written.",
        "  1. data/p1.txt, row 4: found 'x'; allowed: a number",
        "======",
        "  1. a line of its own",
    )
    assert heard.problems == [
        "data/p1.txt, row 3: found a date <date>; allowed: a number",
        "data/p1.txt, row 4: found 'x'; allowed: a number",
    ]


def test_jobs_reasons_and_failures_are_counted_by_rule():
    heard, _ = run_log(
        "localrule read_table:",
        "    output: results/a.parquet",
        "    reason: Missing output files: results/a.parquet",
        "rule read_table:",
        "    reason: Updated input files: data/b.csv; Params have changed since last execution",
        "checkpoint pick:",
        "    reason: Forced execution",
        "Error in rule read_table:",
        "    jobid: 1",
    )
    assert heard.rules() == {
        "read_table": {
            "jobs": 2,
            "failed": 1,
            "reasons": {
                "Missing output files": {"jobs": 1, "for_example": "results/a.parquet"},
                "Updated input files": {"jobs": 1, "for_example": "data/b.csv"},
                "Params have changed since last execution": {"jobs": 1, "for_example": ""},
            },
        },
        "pick": {"jobs": 1, "failed": 0, "reasons": {"Forced execution": {"jobs": 1, "for_example": ""}}},
    }


def test_the_plan_is_what_snakemake_counts_before_the_first_job():
    table = (
        "Job stats:",
        "job           count",
        "----------  -------",
        "all               1",
        "quantify_plate   12",
    )
    heard, _ = run_log(
        "Provided cores: 2", "cores 2", *table, "total            13", "", "waiting 3", *table[:4]
    )
    assert heard.planned == {"all": 1, "quantify_plate": 12}


def test_the_log_of_a_failed_slurm_job_names_rules_that_are_not_counted_again():
    ruler = "=" * 80
    heard, _ = run_log(
        "rule read_table:",
        "Error in rule read_table:",
        "    message: SLURM-job '7' failed, SLURM status is: 'FAILED'.",
        "Logfile .snakemake/slurm_logs/rule_read_table/a/7.log:",
        ruler,
        "SNAKEMAKE",
        "=========",
        "rule read_table:",
        "    reason: Forced execution",
        "localrule read_table:",
        "Error in rule read_table:",
        "Logfile logs/a.log:",
        ruler,
        "1 problem in the input; nothing was written.",
        "  1. a.csv: no table",
        ruler,
        "Error in rule read_table:",
        ruler,
        "Trying to restart job 1.",
        "rule read_table:",
        "    reason: Missing output files: results/a.parquet",
    )
    assert heard.rules() == {
        "read_table": {
            "jobs": 2,
            "failed": 1,
            "reasons": {"Missing output files": {"jobs": 1, "for_example": "results/a.parquet"}},
        }
    }
    assert heard.problems == ["a.csv: no table"]


def test_the_example_of_a_reason_holds_no_date():
    heard, _ = run_log("rule a:", "    reason: Updated input files: data/plate_2024-05-06.csv")
    assert heard.rules()["a"]["reasons"]["Updated input files"]["for_example"] == "data/plate_<date>.csv"


def test_the_heading_of_snakemake_loses_who_started_it_where_and_when():
    take = RunLog().take
    assert take("  Date: 2026-03-01 08:30:00") == "  Date: -"
    assert take("  User: quackenbush") == "  User: -"
    assert take("  Config file(s): [PosixPath('/home/q/config.yaml')]") == "  Config file(s): -"
    assert take("    host: counts") == "    host: counts"

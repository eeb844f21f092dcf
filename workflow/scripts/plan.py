"""Write what the run asks for, rule by rule and in all, and what has been measured so far."""

from pathlib import Path

import pandas as pd

from nsdrecon.doctor.cluster import profile_partitions
from nsdrecon.graph.plan import format_amount, planned_jobs, rule_table, totals
from nsdrecon.graph.rates import expected
from nsdrecon.job import job
from nsdrecon.store import write_table
from nsdrecon.whole_files import whole_file

with job(snakemake) as log:
    jobs = planned_jobs(snakemake.params.snakefile, snakemake.params.config)
    named = snakemake.params.partitions
    partitions = profile_partitions(named) if named else []
    rules = rule_table(jobs, partitions, Path())
    whole = totals(jobs, Path())
    if not whole["jobs_measured"]:
        whole |= expected(jobs, snakemake.params.config)
    write_table(snakemake.output.rules, pd.DataFrame(rules))
    write_table(snakemake.output.totals, pd.DataFrame(whole.items(), columns=["what", "amount"]))
    with whole_file(snakemake.output.text) as partial:
        lines = [f"{what:>20}: {format_amount(amount)}" for what, amount in whole.items()]
        table = pd.DataFrame(rules).to_string(index=False, na_rep="–")
        partial.write_text(f"{table}\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    log.info("%d jobs, %d of them measured", whole["jobs"], whole["jobs_measured"])

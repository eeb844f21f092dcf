"""What can be known to go wrong before anything is queued.

Every check is a function that returns what it found as rows of one table, and looks at one thing.

Modules
-------
checks
    All of them, for what a run is configured to do.
findings
    A row of the table, what an error becomes in it, and the table as text.
sources
    Terms of use; whether what is still to be fetched can be read; files of a local copy.
amounts
    How much will travel and stay, and the free disk.
intact
    Whether what is here already is whole.
cluster
    The partitions of the profile and the planned jobs against the partitions of the site.
nodes
    Tiny jobs on the nodes: whether they see the working folder, and compute with torch.
probe
    The program of these jobs.
profile
    How a run uses SLURM, from Snakemake's workflow.
"""

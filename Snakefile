# irnet_pipe: instance masks from image-level labels. One command: snakemake --cores 2 --configfile my.yaml
from snakemake.utils import min_version

min_version("9.3")


# Without --configfile the file to edit is config/config.yaml.
if "dataset" not in config:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/cam.smk"
include: "workflow/rules/relations.smk"
include: "workflow/rules/irnet.smk"
include: "workflow/rules/affinitynet.smk"
include: "workflow/rules/instances.smk"
include: "workflow/rules/segmenters.smk"
include: "workflow/rules/results.smk"


localrules:
    all,
    tables,
    report,


rule all:
    default_target: True
    input:
        [targets(publication) for publication in PUBLICATIONS],


# The paper's tables, over the seeds of tables.seeds: snakemake tables
rule tables:
    input:
        lambda wildcards: tables_marker(),

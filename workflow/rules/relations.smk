# Inter-pixel relations mined from class activation maps.


rule select_relation_thresholds:
    input:
        parents,
    output:
        f"{RESULTS}/select_relation_thresholds/{{unit}}.{{recipe}}.json",
    log:
        f"{RESULTS}/logs/select_relation_thresholds/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/select_relation_thresholds/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("select_relation_thresholds")


rule mine_relations:
    input:
        parents,
    output:
        f"{RESULTS}/mine_relations/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/mine_relations/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mine_relations/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("mine_relations")

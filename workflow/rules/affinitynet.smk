# AffinityNet, for comparison.


rule mine_affinitynet:
    input:
        parents,
    output:
        f"{RESULTS}/mine_affinitynet/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/mine_affinitynet/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mine_affinitynet/{{unit}}.{{recipe}}.tsv"
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
        stage_command("mine_affinitynet")


rule train_affinitynet:
    input:
        parents,
    output:
        f"{RESULTS}/train_affinitynet/{{unit}}.{{recipe}}.pth",
    log:
        f"{RESULTS}/logs/train_affinitynet/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_affinitynet/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: training_threads
    resources:
        mem_mb=growing(8000 * DEVICES),
        runtime=1440,
        gpu=DEVICES,
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("train_affinitynet", devices=DEVICES)


rule propagate_affinitynet:
    input:
        parents,
    output:
        f"{RESULTS}/propagate_affinitynet/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/propagate_affinitynet/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/propagate_affinitynet/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=1,
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("propagate_affinitynet")

# IRNet: boundary and displacement heads.


rule train_irnet:
    input:
        parents,
    output:
        f"{RESULTS}/train_irnet/{{unit}}.{{recipe}}.pth",
    log:
        f"{RESULTS}/logs/train_irnet/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_irnet/{{unit}}.{{recipe}}.tsv"
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
        stage_command("train_irnet", devices=DEVICES)


rule infer_irnet:
    input:
        parents,
    output:
        f"{RESULTS}/infer_irnet/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/infer_irnet/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/infer_irnet/{{unit}}.{{recipe}}.tsv"
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
        stage_command("infer_irnet")


rule calibrate_displacement:
    input:
        parents,
    output:
        f"{RESULTS}/calibrate_displacement/{{unit}}.{{recipe}}.json",
    log:
        f"{RESULTS}/logs/calibrate_displacement/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/calibrate_displacement/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("calibrate_displacement")

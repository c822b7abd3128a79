# Classifier and class activation maps.


rule train_cam:
    input:
        parents,
    output:
        f"{RESULTS}/train_cam/{{unit}}.{{recipe}}.pth",
    log:
        f"{RESULTS}/logs/train_cam/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_cam/{{unit}}.{{recipe}}.tsv"
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
        stage_command("train_cam", devices=DEVICES)


rule infer_cam:
    input:
        parents,
    output:
        f"{RESULTS}/infer_cam/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/infer_cam/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/infer_cam/{{unit}}.{{recipe}}.tsv"
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
        stage_command("infer_cam")

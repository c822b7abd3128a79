# Segmenters that learn from the masks, and what they predict.


rule train_maskrcnn:
    input:
        parents,
    output:
        f"{RESULTS}/train_maskrcnn/{{unit}}.{{recipe}}.pth",
    log:
        f"{RESULTS}/logs/train_maskrcnn/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_maskrcnn/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: training_threads
    resources:
        mem_mb=growing(16000 * DEVICES),
        runtime=2880,
        gpu=DEVICES,
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("train_maskrcnn", devices=DEVICES)


rule infer_maskrcnn:
    input:
        parents,
    output:
        f"{RESULTS}/infer_maskrcnn/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/infer_maskrcnn/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/infer_maskrcnn/{{unit}}.{{recipe}}.tsv"
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
        stage_command("infer_maskrcnn")


rule train_deeplab:
    input:
        parents,
    output:
        f"{RESULTS}/train_deeplab/{{unit}}.{{recipe}}.pth",
    log:
        f"{RESULTS}/logs/train_deeplab/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_deeplab/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: training_threads
    resources:
        mem_mb=growing(16000 * DEVICES),
        runtime=2880,
        gpu=DEVICES,
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("train_deeplab", devices=DEVICES)


rule infer_deeplab:
    input:
        parents,
    output:
        f"{RESULTS}/infer_deeplab/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/infer_deeplab/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/infer_deeplab/{{unit}}.{{recipe}}.tsv"
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
        stage_command("infer_deeplab")

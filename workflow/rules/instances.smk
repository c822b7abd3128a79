# From maps to instance masks.


rule refine_displacement:
    input:
        parents,
    output:
        f"{RESULTS}/refine_displacement/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/refine_displacement/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/refine_displacement/{{unit}}.{{recipe}}.tsv"
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
        stage_command("refine_displacement")


rule propagate:
    input:
        parents,
    output:
        f"{RESULTS}/propagate/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/propagate/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/propagate/{{unit}}.{{recipe}}.tsv"
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
        stage_command("propagate")


rule select_thresholds:
    input:
        parents,
    output:
        f"{RESULTS}/select_thresholds/{{unit}}.{{recipe}}.json",
    log:
        f"{RESULTS}/logs/select_thresholds/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/select_thresholds/{{unit}}.{{recipe}}.tsv"
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
        stage_command("select_thresholds")


rule export_masks:
    input:
        parents,
    output:
        f"{RESULTS}/export_masks/{{unit}}.{{recipe}}.h5",
    log:
        f"{RESULTS}/logs/export_masks/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/export_masks/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("export_masks")

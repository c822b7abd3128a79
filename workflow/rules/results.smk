# What people open: collected masks, scores, report, and their publication under plain names.


rule gather_masks:
    input:
        parents,
    output:
        f"{RESULTS}/gather_masks/{{unit}}.{{recipe}}.tar",
    log:
        f"{RESULTS}/logs/gather_masks/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/gather_masks/{{unit}}.{{recipe}}.tsv"
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
        stage_command("gather_masks")


rule evaluate_cam:
    input:
        parents,
    output:
        f"{RESULTS}/evaluate_cam/{{unit}}.{{recipe}}.json",
    log:
        f"{RESULTS}/logs/evaluate_cam/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_cam/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("evaluate_cam")


rule evaluate_masks:
    input:
        parents,
    output:
        f"{RESULTS}/evaluate_masks/{{unit}}.{{recipe}}.json",
    log:
        f"{RESULTS}/logs/evaluate_masks/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_masks/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("evaluate_masks")


rule draw_thumbnails:
    input:
        parents,
    output:
        f"{RESULTS}/draw_thumbnails/{{unit}}.{{recipe}}.tar",
    log:
        f"{RESULTS}/logs/draw_thumbnails/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_thumbnails/{{unit}}.{{recipe}}.tsv"
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
        stage_command("draw_thumbnails")


rule report:
    input:
        parents,
    output:
        f"{RESULTS}/report/{{unit}}.{{recipe}}.html",
    log:
        f"{RESULTS}/logs/report/{{unit}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/report/{{unit}}.{{recipe}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        label=label,
    message:
        "{params.label}"
    shell:
        stage_command("report")


for publication in PUBLICATIONS:

    rule:
        name:
            "publish" if len(PUBLICATIONS) == 1 else f"publish_{publication.recipe}"
        input:
            published(publication),
        output:
            outputs_of(publication),
        log:
            f"{RESULTS}/logs/publish/{publication.recipe}.log",
        benchmark:
            f"{RESULTS}/benchmarks/publish/{publication.recipe}.tsv"
        localrule: True
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1000,
            runtime=60,
        # Snakemake evaluates what `shell` says when the job runs: by then the loop is at its last publication.
        params:
            command=publish_command(publication),
        message:
            f"stage {NUMBERS['publish']}: publish to {folder_of(publication)}"
        shell:
            f"{{params.command}} {LOGGED}"


# A run may ask for tables or not, so the name of their marker is not known here.
rule publish_tables:
    input:
        tables_parents,
    output:
        f"{RUNTIME.outputs}/{{run}}/tables/recipe-{{recipe}}.json",
    log:
        f"{RESULTS}/logs/publish/{{run}}.{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/publish/{{run}}.{{recipe}}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        command=tables_command,
    message:
        "tables of {wildcards.run}"
    shell:
        f"{{params.command}} {LOGGED}"

"use strict";
// One image: its layers on top of each other, and what a person says of it.
const viewer = (() => {
  const part = (id) => document.getElementById(`viewer-${id}`);
  const dialog = document.getElementById("viewer");
  const stage = part("stage");
  const stack = part("stack");
  const MOST = 16;  // times enlarged
  let list = [];    // images that one pages through
  let at = 0;
  let shown = null; // names of the layers that are seen; null: not chosen yet
  let zoom = { scale: 1, x: 0, y: 0 };

  const row = () => list[at];
  const allMasks = () => [...row().masks, ...(row().left_out ?? [])];

  function open(images, number) {
    list = images;
    at = number;
    shown ??= new Set(["photo", gallery.facts.layers.instances]);
    if (!dialog.open) dialog.showModal();
    stage.focus();
    draw();
  }

  function move(steps) {
    const next = at + steps;
    if (next < 0 || next >= list.length) return;
    at = next;
    draw();
  }

  function draw() {
    const { id, size: [height, width], unit } = row();
    part("title").textContent = id;
    const split = unit.startsWith("train") ? "training image" : "labelled only";
    const doubt = `doubt ${row().doubt.toFixed(2)}`;
    part("facts").textContent = [`${at + 1} of ${list.length}`, `${width} × ${height}`, split, doubt].join(" · ");
    part("previous").disabled = at === 0;
    part("next").disabled = at === list.length - 1;
    drawLayers();
    drawRecipes();
    drawReview();
    reset();
  }

  function drawLayers() {
    const layers = gallery.layersOf(row());
    stack.replaceChildren(...layers.map(({ name, src, flat }) => {
      const image = element("img", { src, alt: "", className: flat ? "flat" : "", draggable: false });
      image.dataset.layer = name;
      return image;
    }), ...allMasks().map(({ box: [x, y, width, height], name }) => {
      const frame = element("div", { className: "box", hidden: true });
      frame.dataset.mask = name;
      const place = { left: x, top: y, width, height };
      for (const [side, share] of Object.entries(place)) frame.style[side] = `${100 * share}%`;
      return frame;
    }));
    part("layers").replaceChildren(...layers.map(({ name, src }, number) => {
      const key = number < 9 ? element("kbd", {}, `${number + 1}`) : "";
      const button = element("button", { type: "button", onclick: () => toggle(name) },
        element("img", { src, alt: "" }), key, element("span", {}, name));
      button.dataset.layer = name;
      return button;
    }));
    part("fewer").hidden = gallery.hasAllLayers(row());
    blend();
  }

  function toggle(name) {
    if (!shown.delete(name)) shown.add(name);
    blend();
  }

  // Layers above the photo are as opaque as the slider says.
  function blend() {
    const opacity = part("blend").value / 100;
    for (const image of stack.querySelectorAll("img")) {
      image.hidden = !shown.has(image.dataset.layer);
      image.style.opacity = image.dataset.layer === "photo" ? 1 : opacity;
    }
    for (const button of part("layers").children) button.ariaPressed = shown.has(button.dataset.layer);
  }

  // --- review

  function drawReview() {
    const key = document.activeElement?.dataset.key;  // what is drawn anew keeps the focus
    const { id, masks, predicted } = row();
    const mark = review.of(id);
    part("unusable").checked = Boolean(mark.unusable);
    part("masks").replaceChildren(...allMasks().map((mask, number) => maskItem(mask, number, mark)));
    part("no-masks").hidden = allMasks().length > 0;
    const elsewhere = (mark.wrong ?? []).filter((name) => !allMasks().some((mask) => mask.name === name));
    part("elsewhere").hidden = !elsewhere.length;
    part("elsewhere").textContent = `Forget ${elsewhere.length} marked masks that are none of these`;
    part("elsewhere").onclick = () => elsewhere.forEach((name) => review.toggleWrong(id, name));
    part("predicted").hidden = !predicted;
    const there = review.labelsOf(row());
    part("labels").replaceChildren(...[...there].map(([name, is]) => labelItem(name, is)));
    const missing = gallery.facts.classes.filter((name) => !there.has(name));
    part("add").replaceChildren(element("option", { value: "" }, "add a label …"),
      ...missing.map((name) => element("option", { value: name }, name)));
    part("add").hidden = !missing.length;
    drawBoxes();
    if (key) [...dialog.querySelectorAll("[data-key]")].find((other) => other.dataset.key === key)?.focus();
  }

  function maskItem({ class: number, score, area, name }, order, mark) {
    const { classes, instance_colours: colours } = gallery.facts;
    const out = order >= row().masks.length;
    const chip = element("span", { className: "chip" });
    chip.style.background = out ? "" : colours[order % colours.length];
    const wrong = element("button", { type: "button", className: "wrong" }, "wrong");
    wrong.onclick = () => review.toggleWrong(row().id, name);
    wrong.dataset.key = `mask ${name}`;
    wrong.ariaPressed = Boolean(mark.wrong?.includes(name));
    wrong.ariaLabel = `mask ${order + 1}, ${classes[number]}, is wrong`;
    const numbers = out ? "left out" : `${score.toFixed(2)} · ${(100 * area).toFixed(1)} %`;
    const item = element("li", {}, chip, element("span", {}, classes[number]),
      element("span", { className: "numbers" }, numbers), wrong);
    for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, () => drawBoxes(name));
    for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, () => drawBoxes());
    return item;
  }

  function labelItem(name, is) {
    const box = element("input", { type: "checkbox", checked: is });
    box.onchange = () => review.setLabel(row(), name, box.checked);
    box.dataset.key = `label ${name}`;
    const chip = element("span", { className: "chip" });
    chip.style.background = gallery.facts.colours[gallery.facts.classes.indexOf(name)];
    return element("label", {}, box, chip, name);
  }

  // Frames of masks that are marked wrong, and of the one that is pointed at.
  function drawBoxes(pointed = null) {
    const wrong = review.of(row().id).wrong ?? [];
    for (const frame of stack.querySelectorAll(".box")) {
      frame.classList.toggle("crossed", wrong.includes(frame.dataset.mask));
      frame.hidden = frame.dataset.mask !== pointed && !wrong.includes(frame.dataset.mask);
    }
  }

  function drawRecipes() {
    part("recipes").replaceChildren(...gallery.recipesOf(row()).map(([name, path]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, path))));
  }

  // --- zoom

  // The photo as large as fits, in the middle.
  function fit() {
    const [height, width] = row().size;
    const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
    Object.assign(stack.style, { width: `${scale * width}px`, height: `${scale * height}px` });
    return { left: (stage.clientWidth - scale * width) / 2, top: (stage.clientHeight - scale * height) / 2 };
  }

  function place() {
    const { left, top } = fit();
    stack.style.transform = `translate(${left + zoom.x}px, ${top + zoom.y}px) scale(${zoom.scale})`;
  }

  function reset() {
    zoom = { scale: 1, x: 0, y: 0 };
    place();
  }

  // Enlarges about a point of the stage, by default its middle.
  function enlarge(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const scale = Math.min(MOST, Math.max(1, zoom.scale * factor));
    if (scale === 1) return reset();
    const { left, top } = fit();
    const by = scale / zoom.scale;
    zoom = { scale, x: x - left - (x - left - zoom.x) * by, y: y - top - (y - top - zoom.y) * by };
    place();
  }

  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { left, top } = stage.getBoundingClientRect();
    enlarge(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - left, event.clientY - top);
  }, { passive: false });
  stage.addEventListener("dblclick", (event) => {
    const { left, top } = stage.getBoundingClientRect();
    if (zoom.scale > 1) reset(); else enlarge(3, event.clientX - left, event.clientY - top);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!(event.buttons & 1) || zoom.scale === 1) return;
    zoom.x += event.movementX;
    zoom.y += event.movementY;
    place();
  });
  new ResizeObserver(() => { if (dialog.open) place(); }).observe(stage);

  // --- keys and buttons

  const KEYS = {
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    "+": () => enlarge(1.5),
    "=": () => enlarge(1.5),
    "-": () => enlarge(1 / 1.5),
    0: reset,
    u: () => review.toggleUnusable(row().id),
    "[": () => slide(-10),
    "]": () => slide(10),
  };

  function slide(by) {
    part("blend").valueAsNumber += by;
    blend();
  }

  dialog.addEventListener("keydown", (event) => {
    const typing = event.target.matches("select, input[type=range]");
    if (event.ctrlKey || event.altKey || event.metaKey || typing) return;
    const layer = /^[1-9]$/.test(event.key) ? gallery.layersOf(row())[event.key - 1] : null;
    const action = layer ? () => toggle(layer.name) : KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  part("blend").addEventListener("input", blend);
  part("previous").onclick = () => move(-1);
  part("next").onclick = () => move(1);
  part("close").onclick = () => dialog.close();
  part("unusable").onchange = () => review.toggleUnusable(row().id);
  part("add").onchange = () => { if (part("add").value) review.setLabel(row(), part("add").value, true); };
  review.onChange(() => { if (dialog.open) drawReview(); });

  return { open };
})();

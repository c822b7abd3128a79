"use strict";
// All images: filters, order, and a card each.
const grid = (() => {
  const PAGE = 60;  // cards that are added at once
  const form = document.getElementById("filters");
  const cards = document.getElementById("cards");
  const end = document.getElementById("cards-end");
  let images = [];  // what the filters let through, in order

  const scores = (row) => row.masks.map((mask) => mask.score);
  const areas = (row) => row.masks.map((mask) => mask.area);
  const ORDERS = {
    doubt: (a, b) => b.doubt - a.doubt,
    name: () => 0,
    score: (a, b) => Math.min(...scores(a), 2) - Math.min(...scores(b), 2),
    small: (a, b) => Math.min(...areas(a), 2) - Math.min(...areas(b), 2),
    large: (a, b) => Math.max(...areas(b), 0) - Math.max(...areas(a), 0),
    masks: (a, b) => b.masks.length - a.masks.length,
  };

  // A number that somebody typed; what is left empty bounds nothing.
  function bound(name, otherwise) {
    const value = form.elements[name].valueAsNumber;
    return Number.isNaN(value) ? otherwise : value;
  }

  // An image is let through if it has the class, and one of its masks (of that class) is within the bounds.
  function passes() {
    const { "class": wanted, split, marked, name } = Object.fromEntries(new FormData(form));
    const number = wanted === "" || wanted === "none" ? null : Number(wanted);
    const bounds = [["score", 1], ["area", 0.01]].map(([field, unit]) =>
      [field, bound(`${field}-from`, -Infinity) * unit, bound(`${field}-to`, Infinity) * unit]);
    const bounded = bounds.some(([, from, to]) => from !== -Infinity || to !== Infinity);
    const within = (mask) => bounds.every(([field, from, to]) => mask[field] >= from && mask[field] <= to);
    const [least, most] = [bound("side-from", 0), bound("side-to", Infinity)];
    const text = name.trim().toLowerCase();
    return (row) => {
      const masks = number === null ? row.masks : row.masks.filter((mask) => mask.class === number);
      const side = Math.max(...row.size);
      return (wanted !== "none" || !row.labels.length)
        && (number === null || row.labels.includes(number) || masks.length > 0)
        && (!bounded || masks.some(within))
        && side >= least && side <= most
        && (!split || row.unit.startsWith(split))
        && (!marked || review.has(row.id) === (marked === "yes"))
        && (!text || row.id.toLowerCase().includes(text));
    };
  }

  function draw() {
    images = gallery.rows.filter(passes()).sort(ORDERS[form.elements.order.value]);
    const all = gallery.rows.length;
    document.getElementById("count").textContent =
      images.length === all ? `${all} images` : `${images.length} of ${all} images`;
    cards.replaceChildren();
    more();
  }

  const watch = new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) more(); },
    { rootMargin: "1000px" });

  function more() {
    const from = cards.children.length;
    cards.append(...images.slice(from, from + PAGE).map((row, number) => card(row, from + number)));
    end.hidden = cards.children.length >= images.length;
    // Watched anew, so that it is told again where it is still in sight.
    watch.unobserve(end);
    watch.observe(end);
  }

  function card(row, number) {
    const frame = element("span", { className: "frame" }, ...["photo", "instances"].map((name) =>
      element("img", { src: gallery.thumbnail(row, name), alt: "", loading: "lazy", decoding: "async" })));
    const names = row.labels.map((label) => gallery.facts.classes[label]).join(", ") || "no class";
    const high = row.doubt >= 0.5 ? "doubt high" : "doubt";
    const doubt = element("span", { className: high, title: "doubt" }, row.doubt.toFixed(2));
    const button = element("button", { type: "button", onclick: () => viewer.open(images, number) }, frame,
      element("span", { className: "name" }, row.id), element("span", { className: "labels" }, names, doubt));
    const item = element("li", {}, button);
    item.dataset.id = row.id;
    mark(item);
    return item;
  }

  // What a review says is seen on the card.
  function mark(item) {
    const { unusable, labels, wrong } = review.of(item.dataset.id);
    const said = [unusable && "unusable", labels && "labels", wrong && `${wrong.length} wrong`].filter(Boolean);
    item.classList.toggle("marked", said.length > 0);
    item.classList.toggle("left-out", Boolean(unusable));
    item.dataset.marks = said.join(", ");
  }

  function drawMarks() {
    for (const item of cards.children) mark(item);
    document.getElementById("marks").textContent =
      review.size === 1 ? "1 image marked" : `${review.size} images marked`;
    for (const id of ["review-save", "review-clear"]) document.getElementById(id).disabled = !review.size;
  }

  function tell(message) { document.getElementById("review-told").textContent = message; }

  async function loadReview({ target: input }) {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    try {
      const known = new Set(gallery.rows.map((row) => row.id));
      const found = [...review.load(await file.text()).keys()];
      const strange = found.filter((id) => !known.has(id)).length;
      tell(`${file.name}: ${found.length} images marked` + (strange ? `, ${strange} of them not in this gallery` : ""));
    } catch (error) {
      tell(`${file.name}: cannot be read (${error.message})`);
    }
  }

  // Arrows go from card to card.
  function step(event) {
    const item = event.target.closest("li");
    const perLine = Math.max(1, Math.round(cards.clientWidth / item.offsetWidth));
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perLine, ArrowDown: perLine }[event.key];
    const next = steps && cards.children[[...cards.children].indexOf(item) + steps];
    if (!next) return;
    event.preventDefault();
    next.firstElementChild.focus();
  }

  async function start() {
    const failed = await gallery.load();
    if (failed.length) tell(`${failed.length} files beside this page are missing, such as ${failed[0]}`);
    gallery.rows.sort((a, b) => (a.id < b.id ? -1 : 1));  // sorting keeps it among equals
    const options = gallery.facts.classes.map((name, number) => element("option", { value: number }, name));
    form.elements.class.append(...options, element("option", { value: "none" }, "no class"));
    form.addEventListener("input", draw);
    form.addEventListener("reset", () => setTimeout(draw));
    form.addEventListener("submit", (event) => event.preventDefault());
    cards.addEventListener("keydown", step);
    document.getElementById("review-save").onclick = () => review.download();
    document.getElementById("review-clear").onclick = () => {
      if (confirm(`Forget the marks of ${review.size} images?`)) review.clear();
    };
    document.getElementById("review-load").onchange = loadReview;
    review.onChange(drawMarks);
    draw();
    drawMarks();
  }

  return { start };
})();

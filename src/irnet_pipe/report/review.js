"use strict";
// What a person finds wrong: unusable images, labels that are missing or wrong, masks that are wrong. Marks are kept in
// the browser, and saved as review.json, which the config names (`review`).
const review = (() => {
  const FORMAT = "irnet_pipe.review";
  const VERSION = 1;
  const KEY = `${FORMAT} ${location.pathname}`;
  const listeners = [];
  let marks = new Map();  // image → {unusable: true, labels: {class: whether it is there}, wrong: [mask]}

  // Browsers may forbid pages from disk to keep anything: marks then last as long as the page.
  function keep() {
    try { localStorage.setItem(KEY, text()); } catch { /* see above */ }
    listeners.forEach((told) => told());
  }

  function restore() {
    try {
      const kept = localStorage.getItem(KEY);
      if (kept) marks = parse(kept);
    } catch { /* see above */ }
  }

  // The marks of an image after a change; marks that say nothing are dropped.
  function change(id, edit) {
    const mark = structuredClone(marks.get(id) ?? {});
    edit(mark);
    if (!mark.unusable) delete mark.unusable;
    if (!mark.wrong?.length) delete mark.wrong;
    if (!Object.keys(mark.labels ?? {}).length) delete mark.labels;
    if (Object.keys(mark).length) marks.set(id, mark); else marks.delete(id);
    keep();
  }

  function text() {
    const images = Object.fromEntries([...marks].sort(([a], [b]) => (a < b ? -1 : 1)));
    return JSON.stringify({ format: FORMAT, version: VERSION, images }, null, 1) + "\n";
  }

  function parse(content) {
    const value = JSON.parse(content);
    if (value?.format !== FORMAT) throw new Error(`no review: its format is ${value?.format}, not ${FORMAT}`);
    if (value.version > VERSION) throw new Error(`version ${value.version} is newer than ${VERSION}`);
    return new Map(Object.entries(value.images));
  }

  restore();
  return {
    of: (id) => marks.get(id) ?? {},
    has: (id) => marks.has(id),
    get size() { return marks.size; },
    onChange(told) { listeners.push(told); },

    toggleUnusable(id) { change(id, (mark) => { mark.unusable = !mark.unusable; }); },

    toggleWrong(id, name) {
      change(id, (mark) => {
        const wrong = mark.wrong ?? [];
        mark.wrong = wrong.includes(name) ? wrong.filter((other) => other !== name) : [...wrong, name];
      });
    },

    labelsOf(row) {
      const said = this.of(row.id).labels ?? {};
      const there = new Map(row.labels.map((number) => [gallery.facts.classes[number], true]));
      for (const [name, is] of Object.entries(said)) there.set(name, is);
      return there;
    },

    setLabel(row, name, is) {
      const given = row.labels.map((number) => gallery.facts.classes[number]);
      change(row.id, (mark) => {
        mark.labels ??= {};
        mark.labels[name] = is;
        // What the classifier predicted is no label yet: a person who changes one vouches for the others.
        if (row.predicted) for (const other of given) mark.labels[other] ??= true;
        else if (given.includes(name) === is) delete mark.labels[name];
      });
    },

    clear() { marks = new Map(); keep(); },

    // Takes the marks of a file; of an image that is marked here too, those of the file count.
    load(content) {
      const found = parse(content);
      for (const [id, mark] of found) marks.set(id, mark);
      keep();
      return found;
    },

    download() {
      const address = URL.createObjectURL(new Blob([text()], { type: "application/json" }));
      element("a", { href: address, download: "review.json" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    },
  };
})();

"use strict";
// What the page knows. It is told by calls, inline or in scripts beside the page, each with JSON for its argument
// (gallery_data.py): a page opened from disk may load scripts, but fetch nothing.
const gallery = (() => {
  const facts = {};
  const rows = [];            // one an image: id, size, labels, predicted, masks, doubt; and unit, number
  const recipes = new Map();  // unit → [[stage, path], …]
  const held = new Map();     // unit/file → address of a thumbnail that is in the page itself
  const stacks = new Map();   // image → its layers, the lowest first

  return {
    facts,
    rows,

    // For the whole gallery: classes, colours of classes and instances, names of the layers that thumbnails show, and
    // the folder and the shards of what lies beside the page.
    page(given) { Object.assign(facts, given); },

    unit({ unit, recipes: paths, rows: found }) {
      recipes.set(unit, paths);
      found.forEach((row, number) => rows.push(Object.assign(row, { unit, number })));
    },

    files({ unit, files }) {
      for (const [name, address] of Object.entries(files)) held.set(`${unit}/${name}`, address);
    },

    layers({ id, layers }) { stacks.set(id, layers); },

    recipesOf: (row) => recipes.get(row.unit),

    thumbnail(row, name) {
      const file = `${row.unit}/${row.number}-${name}.${name === "photo" ? "jpeg" : "png"}`;
      return held.get(file) ?? `${facts.folder}/${file}`;
    },

    layersOf(row) {
      return stacks.get(row.id) ?? [
        { name: "photo", src: this.thumbnail(row, "photo") },
        { name: facts.layers.classes, src: this.thumbnail(row, "classes"), flat: true },
        { name: facts.layers.instances, src: this.thumbnail(row, "instances"), flat: true },
      ];
    },

    hasAllLayers: (row) => stacks.has(row.id),

    // Rows of all shards; resolves to the scripts that could not be loaded.
    async load() {
      const sources = facts.beside.map((unit) => `${facts.folder}/${unit}/rows.js`);
      const failed = await Promise.all(sources.map((source) => new Promise((resolve) => {
        const script = document.createElement("script");
        script.onload = () => resolve(null);
        script.onerror = () => resolve(source);
        script.src = source;
        document.head.append(script);
      })));
      return failed.filter(Boolean);
    },
  };
})();

// An element: its properties, and what is in it.
function element(tag, properties = {}, ...content) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...content);
  return made;
}

"use strict";
// The page's own script. Whatever comes from the data is put in as text, never as HTML.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const made = (name, attributes, ...inside) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };
  const newest = data.windows[data.windows.length - 1];

  const map = L.map("map", { attributionControl: false, zoomControl: false, zoomSnap: 0.25, minZoom: 1, maxZoom: 19 });
  L.control.scale({ imperial: false }).addTo(map);
  const whole = () => map.fitBounds(data.bounds, { animate: false });
  whole();
  byId("closer").addEventListener("click", () => map.zoomIn(1));
  byId("wider").addEventListener("click", () => map.zoomOut(1));
  byId("whole").addEventListener("click", whole);

  // Layers: of each window its pictures, the lowest first, and its outlines above them all.
  const pane = (name, height) => {
    map.createPane(name).style.zIndex = height;
    return name;
  };
  pane("pictures", 410);
  pane("left", 420);
  pane("right", 421);
  pane("outlines", 450);
  const picture = (layer, where) => L.imageOverlay(layer.address, layer.bounds, { pane: where, opacity: layer.opacity });
  const usual = { color: "#ffffff", weight: 1.5, opacity: 1, fillColor: "#ffffff", fillOpacity: 0.01, pane: "outlines" };
  const under = { color: "#000000", weight: 3, opacity: 1, fill: false, interactive: false, pane: "outlines" };
  const chosenStyle = { color: "#d55e00", weight: 3.5 };
  L.polygon(data.region, { color: "#4a4a4a", weight: 1, dashArray: "4 4", fill: false, interactive: false }).addTo(map);

  const shapes = [];
  const outlines = new Map(data.windows.map((window) => [window, L.layerGroup()]));
  data.landslides.forEach((landslide, index) => {
    const group = outlines.get(landslide.window);
    group.addLayer(L.polygon(landslide.rings, under));
    const shape = L.polygon(landslide.rings, usual);
    shape.on("click", () => choose(index, false));
    shapes.push(shape);
  });
  data.landslides.forEach((landslide, index) => outlines.get(landslide.window).addLayer(shapes[index]));

  const fade = (group, opacity) => group.eachLayer((shape) => shape.setStyle({ opacity: opacity }));
  const row = (name, window, opacity, shown, turn, set) => {
    const box = made("input", { type: "checkbox" });
    box.checked = shown;
    box.addEventListener("change", () => turn(box.checked));
    const range = made("input", { type: "range", min: "0", max: "1", step: "0.05", "aria-label": `Opacity of ${name}, ${window}` });
    range.value = opacity;
    range.addEventListener("input", () => set(Number(range.value)));
    turn(shown);
    return { element: made("div", { class: "layer" }, made("label", {}, box, name), range), box };
  };
  const switches = new Map();
  for (const window of data.windows.slice().reverse()) {
    const rows = made("fieldset", {}, made("legend", {}, window));
    const group = outlines.get(window);
    const switching = (layer) => (shown) => (shown ? layer.addTo(map) : layer.remove());
    const first = row("outlines", window, 1, window === newest, switching(group), (opacity) => fade(group, opacity));
    switches.set(window, first.box);
    rows.append(first.element);
    for (const layer of data.layers.filter((one) => one.window === window).reverse()) {
      const overlay = picture(layer, "pictures").setZIndex(data.layers.indexOf(layer) + 1);
      const set = (opacity) => overlay.setOpacity(opacity);
      rows.append(row(layer.name, window, layer.opacity, window === newest && !layer.hidden, switching(overlay), set).element);
    }
    byId("layers").append(rows);
  }

  // Compare: two pictures beside each other, each clipped at the divider.
  const divider = byId("divider");
  const comparing = { share: 0.5, left: null, right: null };
  const clip = () => {
    if (!comparing.left) return;
    const size = map.getSize();
    const x = Math.round(size.x * comparing.share);
    const corner = (a, b) => {
      const point = map.containerPointToLayerPoint([a, b]);
      return `${point.x}px ${point.y}px`;
    };
    const box = (from, to) => `polygon(${corner(from, 0)}, ${corner(to, 0)}, ${corner(to, size.y)}, ${corner(from, size.y)})`;
    map.getPane("left").style.clipPath = box(0, x);
    map.getPane("right").style.clipPath = box(x, size.x);
    divider.style.left = `${x}px`;
    divider.setAttribute("aria-valuenow", String(Math.round(100 * comparing.share)));
  };
  const stop = () => {
    for (const side of ["left", "right"]) {
      if (comparing[side]) comparing[side].remove();
      comparing[side] = null;
    }
  };
  const compare = () => {
    stop();
    const active = byId("swipe").getAttribute("aria-pressed") === "true";
    divider.hidden = !active;
    map.getPane("pictures").style.display = active ? "none" : "";
    if (!active) return;
    for (const side of ["left", "right"]) {
      comparing[side] = picture(data.layers[Number(byId(side).value)], side).setOpacity(1).addTo(map);
    }
    clip();
  };
  const words = (layer) => `${layer.name}, ${layer.window}`;
  for (const side of ["left", "right"]) {
    data.layers.forEach((layer, index) => byId(side).append(made("option", { value: String(index) }, words(layer))));
    byId(side).addEventListener("change", compare);
  }
  const last = data.layers.map((layer) => !layer.hidden).lastIndexOf(true);
  const before = data.layers.findIndex((layer) => layer.name === data.layers[last].name);
  byId("left").value = String(before === last ? 0 : before);
  byId("right").value = String(last);
  byId("swipe").addEventListener("click", (event) => {
    const button = event.currentTarget;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    compare();
  });
  const move = (share) => {
    comparing.share = Math.min(Math.max(share, 0), 1);
    clip();
  };
  divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = map.getContainer().getBoundingClientRect();
    move((event.clientX - box.left) / box.width);
  });
  divider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.05, ArrowRight: 0.05, Home: -1, End: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    move(comparing.share + step);
  });
  map.on("move zoom viewreset resize", clip);

  // Cards.
  let chosen = -1;
  const choose = (index, moving) => {
    const landslide = data.landslides[index];
    if (!landslide) return;
    if (chosen >= 0) shapes[chosen].setStyle({ color: usual.color, weight: usual.weight });
    chosen = index;
    const button = switches.get(landslide.window);
    if (!button.checked) button.click();
    shapes[index].setStyle(chosenStyle).bringToFront();
    byId("card-head").textContent = `${data.called} ${landslide.id}`;
    byId("hint").hidden = true;
    byId("columns").replaceChildren(...landslide.card.flatMap(([name, text]) => [made("dt", {}, name), made("dd", {}, text)]));
    for (const one of document.querySelectorAll("#list tbody tr")) {
      one.classList.toggle("chosen", one.querySelector("button").dataset.index === String(index));
    }
    if (moving) map.fitBounds(shapes[index].getBounds().pad(2), { maxZoom: 16, animate: false });
  };
  const count = data.landslides.length;
  byId("next").addEventListener("click", () => choose(count ? (chosen + 1) % count : -1, true));
  byId("previous").addEventListener("click", () => choose(count ? (Math.max(chosen, 0) + count - 1) % count : -1, true));
  if (!count) byId("hint").textContent = `No ${data.called.toLowerCase()} was mapped.`;

  // Table.
  const body = document.querySelector("#list tbody");
  body.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    choose(Number(button.dataset.index), true);
    byId("map").scrollIntoView({ block: "nearest" });
  });
  const ordered = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x === y ? 0 : x < y ? -1 : 1;
  };
  document.querySelectorAll("#list thead th").forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of document.querySelectorAll("#list thead th[aria-sort]")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (line) => line.cells[column].dataset.order;
      const lines = [...body.rows].sort((a, b) => (down ? -1 : 1) * ordered(order(a), order(b)));
      body.append(...lines);
    });
  });

  // Passes go on every ten days; which is next depends on the day this page is read.
  const day = 24 * 3600 * 1000;
  for (const cell of document.querySelectorAll("[data-due]")) {
    const due = Date.parse(cell.dataset.due);
    const away = Math.max(Math.ceil((Math.floor(Date.now() / day) * day - due) / (10 * day)), 0);
    cell.textContent = new Date(due + away * 10 * day).toISOString().slice(0, 10);
  }
})();

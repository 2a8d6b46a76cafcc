"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const list = document.getElementById("nodes");
  const edges = document.getElementById("edges");
  const slider = document.getElementById("size");
  const state = document.getElementById("state");
  const chosen = () => Number(slider.value);
  const which = () => document.querySelector("input[name=which]:checked").value;
  let rows = [];
  let focused = null;

  const element = (tag, style, text) => {
    const made = document.createElement(tag);
    if (style) made.className = style;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const drawn = (tag, attributes, text) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Sizes: tables[k][n - 1] is the value of table k at input size n.
  const lookup = (table, n) => (table === undefined || table < 0 ? null : data.tables[table][n - 1]);
  const sizesOf = (node, n, mode) => (node[mode] ? node[mode].sizes.map((table) => lookup(table, n)) : []);
  const is = (node, flag, n, mode) => Boolean(node[mode] && node[mode][flag] !== undefined && lookup(node[mode][flag], n));
  const sizeText = (node, n, mode) => {
    const sizes = sizesOf(node, n, mode).join("×");
    return [node.channels === null ? "" : `${node.channels} ch`, sizes].filter(Boolean).join(" · ");
  };
  const whyText = (node, n, mode) => node[mode].texts[lookup(node[mode].bad, n)];

  // The tree: a leaf is the index of a node, a group has children. Rows are what is on show.
  const leaves = (item) => (typeof item === "number" ? [item] : item.children.flatMap(leaves));
  const walk = (items, level, found) => {
    for (const item of items) {
      const group = typeof item !== "number";
      found.push({ item, level, group, open: group && item.open, members: leaves(item) });
      if (group && item.open) walk(item.children, level + 1, found);
    }
    return found;
  };
  const every = (items, visit) => {
    for (const item of items) if (typeof item !== "number") { visit(item); every(item.children, visit); }
  };

  const build = () => {
    rows = walk(data.tree, 0, []);
    list.replaceChildren(...rows.map(rowElement));
    const back = rows.find((row) => row.item === focused) || rows[0];
    if (back) back.element.tabIndex = 0;
    update();
  };

  const rowElement = (row) => {
    const node = data.nodes[row.members[row.members.length - 1]];
    const made = element("li", row.group ? (row.open ? "header" : "group") : "leaf");
    const changes = row.open ? [] : row.members.flatMap((index) => data.nodes[index].changes);
    if (changes.length) made.classList.add("edited");
    made.setAttribute("role", "treeitem");
    made.setAttribute("aria-level", row.level + 1);
    made.tabIndex = -1;
    made.style.marginLeft = `${row.level * 16}px`;
    const box = element("div", "box");
    if (row.group) {
      made.setAttribute("aria-expanded", String(row.open));
      const fold = element("span", "fold", row.open ? "▾" : "▸");
      fold.setAttribute("aria-hidden", "true");
      box.append(fold, element("b", "", row.item.label), element("span", "op", `${row.members.length} calls`));
      box.addEventListener("click", () => toggle(row));
    } else {
      box.append(element("b", "", row.level ? shortName(node, row) : node.name));
      if (!node.name.startsWith(node.op)) box.append(element("span", "op", node.op));
      box.append(element("span", "detail", node.detail));
    }
    box.title = row.group ? row.item.path : [node.name, node.op, node.detail].filter(Boolean).join(" ");
    for (const change of changes.slice(0, 3)) box.append(element("span", "badge", change));
    if (changes.length > 3) box.append(element("span", "badge", `${changes.length - 3} more`));
    row.why = element("div", "why");
    row.size = element("div", "size");
    box.append(row.why);
    made.append(box);
    if (!row.open) made.append(row.size);
    made.addEventListener("focus", () => { focused = row.item; });
    row.element = made;
    row.box = box;
    return made;
  };
  const shortName = (node, row) => {
    const above = rows.slice(0, rows.indexOf(row)).reverse().find((r) => r.open && r.level === row.level - 1);
    const prefix = above ? `${above.item.path}.` : "";
    return prefix && node.name.startsWith(prefix) ? node.name.slice(prefix.length) : node.name;
  };

  const toggle = (row, open = !row.item.open) => {
    if (!row.group || row.item.open === open) return;
    row.item.open = open;
    focused = row.item;
    build();
    rows.find((each) => each.item === focused).element.focus({ preventScroll: true });
  };

  const update = () => {
    const n = chosen();
    const mode = which();
    const text = Array(data.axes).fill(n).join("×");
    document.getElementById("size-text").textContent = text;
    for (const row of rows) refresh(row, n, mode);
    tell(n, mode, text);
    mark(n);
    connect(n, mode);
  };

  const refresh = (row, n, mode) => {
    const nodes = row.members.map((index) => data.nodes[index]);
    const failing = row.open ? undefined : nodes.find((node) => is(node, "bad", n, mode));
    const last = nodes[nodes.length - 1];
    row.element.classList.toggle("bad", Boolean(failing));
    row.element.classList.toggle("late", !failing && is(nodes[0], "late", n, mode));
    row.why.textContent = failing ? (row.group ? `${failing.name}: ` : "") + whyText(failing, n, mode) : "";
    row.size.textContent = failing || last.op === "output" ? "" : sizeText(last, n, mode);
    row.size.classList.toggle("zero", sizesOf(last, n, mode).some((size) => size <= 0));
  };

  const tell = (n, mode, text) => {
    const failing = data.nodes.filter((node) => is(node, "bad", n, mode));
    const label = mode === "after" ? "After the repair" : "Before the repair";
    const output = data.nodes[data.nodes.length - 1];
    const sizes = output ? sizesOf(output, n, mode).join("×") : "";
    state.className = failing.length ? "fails" : "";
    state.textContent = failing.length
      ? `${label}, ${text} fails at ${failing[0].name}: ${whyText(failing[0], n, mode)}.`
      : `${label}, ${text} works${sizes ? `; the output is ${sizes}` : ""}.`;
    slider.setAttribute("aria-valuetext", `${text}: ${state.textContent}`);
  };

  const mark = (n) => {
    const column = data.columns.indexOf(n);
    for (const rect of document.querySelectorAll("rect.chosen")) {
      rect.setAttribute("visibility", column < 0 ? "hidden" : "visible");
      if (column >= 0) rect.setAttribute("x", column * rect.getAttribute("width"));
    }
  };

  // Edges: between neighbours straight down, all others as lanes on the right, one lane for each source.
  const connect = (n, mode) => {
    const visible = rows.filter((row) => !row.open);
    const owner = new Map();
    visible.forEach((row, place) => row.members.forEach((index) => owner.set(index, place)));
    const targets = new Map();
    visible.forEach((row, place) => {
      for (const index of row.members) for (const source of data.nodes[index].inputs) {
        const from = owner.get(source);
        if (from === undefined || from === place) continue;
        if (!targets.has(from)) targets.set(from, new Map());
        if (!targets.get(from).has(place)) targets.get(from).set(place, source);
      }
    });
    const skips = [];
    for (const [from, places] of targets) {
      const far = [...places].filter(([place]) => place !== from + 1);
      if (far.length) skips.push({ from, far, last: Math.max(...far.map(([place]) => place)) });
    }
    const count = assignLanes(skips);
    list.style.paddingRight = count ? `${Math.min(list.clientWidth * 0.35, 24 + count * 16)}px` : "";
    const area = list.getBoundingClientRect();
    const spots = visible.map((row) => {
      const box = row.box.getBoundingClientRect();
      return { left: box.left - area.left, right: box.right - area.left, top: box.top - area.top, bottom: box.bottom - area.top };
    });
    const parts = [];
    for (const [from, places] of targets) {
      if (places.has(from + 1)) parts.push(...straight(spots[from], spots[from + 1]));
    }
    parts.push(...lanes(skips, count, spots, n, mode));
    edges.replaceChildren(...parts);
  };

  // Short skips stay close to the boxes; a lane is used again where it is free.
  const assignLanes = (skips) => {
    const used = [];
    skips.sort((a, b) => a.last - a.from - (b.last - b.from) || a.from - b.from);
    for (const skip of skips) {
      skip.lane = used.findIndex((taken) => taken.every(([a, b]) => skip.last <= a || skip.from >= b));
      if (skip.lane < 0) skip.lane = used.push([]) - 1;
      used[skip.lane].push([skip.from, skip.last]);
    }
    return used.length;
  };

  const straight = (from, to) => {
    const [x, y] = [to.left + 14, to.top - 1];
    const path = drawn("path", { d: `M${from.left + 14} ${from.bottom}${x === from.left + 14 ? "" : `V${y - 12}H${x}`}V${y - 4}` });
    return [path, drawn("path", { class: "arrow", d: `M${x - 4} ${y - 6}h8l-4 6z` })];
  };

  const lanes = (skips, count, spots, n, mode) => {
    const parts = [];
    const right = Math.max(0, ...spots.map((spot) => spot.right));
    const gap = Math.max(4, Math.min(22, (list.clientWidth - right - 16) / Math.max(1, count)));
    for (const { from, far, lane, last } of skips) {
      const [x, y] = [right + 14 + lane * gap, middle(spots[from]) + 4];
      let d = `M${spots[from].right} ${y}H${x - 5}q5 0 5 5V${middle(spots[last]) - 9}`;
      for (const [place] of far) {
        const [to, end] = [middle(spots[place]) - 4, spots[place].right];
        d += `M${x} ${to - 5}q0 5 -5 5H${end + 6}`;
        parts.push(drawn("path", { class: "arrow skip-edge", d: `M${end + 7} ${to - 4}v8l-6 -4z` }));
      }
      parts.push(drawn("path", { class: "skip-edge", d }));
      const [text, center] = [sizeText(data.nodes[far[0][1]], n, mode), (y + middle(spots[last])) / 2];
      if (gap >= 12 && middle(spots[last]) - y > text.length * 7 + 16) {
        const turned = { x, y: center, transform: `rotate(-90 ${x} ${center})`, "text-anchor": "middle", dy: "4" };
        const long = text.length * 6.8 + 6;
        const behind = { x: x - long / 2, y: center - 6, width: long, height: 12, transform: turned.transform };
        parts.push(drawn("rect", behind), drawn("text", turned, text));
      }
    }
    return parts;
  };
  const middle = (spot) => (spot.top + spot.bottom) / 2;

  list.addEventListener("keydown", (event) => {
    const place = rows.findIndex((row) => row.element === document.activeElement);
    if (place < 0) return;
    const row = rows[place];
    const go = (to) => { if (rows[to]) { row.element.tabIndex = -1; rows[to].element.tabIndex = 0; rows[to].element.focus(); } };
    const above = () => rows.slice(0, place).map((each) => each.level).lastIndexOf(row.level - 1);
    const actions = {
      ArrowDown: () => go(place + 1),
      ArrowUp: () => go(place - 1),
      Home: () => go(0),
      End: () => go(rows.length - 1),
      ArrowRight: () => (row.group && !row.open ? toggle(row, true) : go(place + 1)),
      ArrowLeft: () => (row.group && row.open ? toggle(row, false) : go(above())),
      Enter: () => toggle(row),
      " ": () => toggle(row),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });

  const choose = (n) => { slider.value = n; update(); };
  for (const svg of document.querySelectorAll(".map svg")) {
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const column = Math.floor(((event.clientX - box.left) / box.width) * data.columns.length);
      document.querySelector(`input[name=which][value=${svg.closest("figure").dataset.which}]`).checked = true;
      choose(data.columns[Math.max(0, Math.min(column, data.columns.length - 1))]);
    });
  }
  const foldAll = (open) => { every(data.tree, (group) => { group.open = open; }); build(); };
  document.getElementById("fold").addEventListener("click", () => foldAll(false));
  document.getElementById("unfold").addEventListener("click", () => foldAll(true));
  slider.addEventListener("input", update);
  for (const radio of document.querySelectorAll("input[name=which]")) radio.addEventListener("change", update);
  const redraw = () => connect(chosen(), which());
  window.addEventListener("resize", redraw);
  window.addEventListener("beforeprint", redraw);
  window.addEventListener("afterprint", redraw);
  window.matchMedia("print").addEventListener("change", redraw);
  build();
  redraw();
  // Both panels show the same columns, at first those around the smallest size asked for.
  const maps = [...document.querySelectorAll(".map .scroll")];
  const together = (from) => maps.forEach((map) => { if (map.scrollLeft !== from.scrollLeft) map.scrollLeft = from.scrollLeft; });
  for (const map of maps) map.addEventListener("scroll", () => together(map), { passive: true });
  const line = maps.length ? maps[0].querySelector("path.asked") : null;
  if (line) maps[0].scrollLeft = Math.max(0, line.getBBox().x - maps[0].clientWidth / 2);
  document.documentElement.dataset.ready = Math.round(performance.now());
})();

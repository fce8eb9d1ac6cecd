// The maze from above: cells, goal, agents with their trails, and the imagined tree of one decision. Units are cells.

const SVG = "http://www.w3.org/2000/svg";
const MOVES = [[1, 0], [0, 1], [-1, 0], [0, -1]];
const ARROW = "M0.36 0L-0.26 0.3L-0.14 0L-0.26 -0.3Z";

function draw(parent, name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "colour") element.style.setProperty("--colour", value); // the page's policy forbids style attributes
    else element.setAttribute(key, value);
  }
  parent.append(element);
  return element;
}

/** Where cosine lies between "unlike" and "like", from 0 to 1. */
const strength = (cosine) => Math.min(1, Math.max(0, cosine));

export class MazeMap {
  constructor(holder, layout, { onCell, onNode }) {
    this.layout = layout;
    this.onNode = onNode;
    this.height = layout.rows.length;
    this.width = layout.rows[0].length;
    this.halls = hallways(layout);
    this.svg = draw(holder, "svg", { viewBox: `0 0 ${this.width} ${this.height}`, role: "img", "aria-labelledby": "map-says" });
    this.says = draw(this.svg, "title", { id: "map-says" });
    const cells = draw(this.svg, "g", { class: "cells" });
    layout.rows.forEach((row, y) => [...row].forEach((mark, x) => {
      if (mark !== "#") draw(cells, "rect", { x: x + 0.02, y: y + 0.02, width: 0.96, height: 0.96, fill: layout.colours[y][x], "data-cell": `${x},${y}` });
    }));
    for (const name of ["trails", "tree", "goal", "walkers"]) this[name] = draw(this.svg, "g");
    this.goal.setAttribute("pointer-events", "none");
    this.walkers.setAttribute("pointer-events", "none");
    this.trails.setAttribute("pointer-events", "none");
    this.svg.addEventListener("click", (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
      onCell(Math.floor(place.x), Math.floor(place.y), event.shiftKey);
    });
  }

  showGoal([x, y]) {
    this.goal.replaceChildren();
    const mark = draw(this.goal, "g", { class: "goal-mark", transform: `translate(${x + 0.5} ${y + 0.5})` });
    for (const [r, fill] of [[0.46, "#1d2126"], [0.4, "#fff"], [0.29, "#d0342c"], [0.13, "#fff"]]) draw(mark, "circle", { r, fill });
  }

  /** Agents: {colour, poses, shown}; the shown one is drawn last. */
  showWalkers(agents) {
    this.trails.replaceChildren();
    this.walkers.replaceChildren();
    agents.forEach(({ name, colour, poses, shown }, index) => {
      const side = (index - (agents.length - 1) / 2) * 0.07;
      const group = draw(this.trails, "g", { class: "mine", colour });
      const points = poses.map(([x, y]) => `${x + 0.5 + side},${y + 0.5 + side}`).join(" ");
      draw(group, "polyline", { class: "trail", points, "stroke-width": shown ? 0.12 : 0.06 });
      const [x, y, heading] = poses.at(-1);
      const walker = draw(this.walkers, "g", { class: "mine", colour, transform: `translate(${x + 0.5} ${y + 0.5}) rotate(${90 * heading}) scale(${shown ? 1.5 : 0.8})`, "data-walker": name });
      draw(walker, "path", { class: "walker", d: ARROW, "stroke-width": 0.07 });
    });
  }

  clearTree() { this.tree.replaceChildren(); this.points = []; }

  /** The imagined tree of a decision made in a pose; `past` where the agent has moved on since. */
  showTree(decision, pose, colour, past) {
    this.clearTree();
    const { parent, cosine, hallway, trajectory } = decision;
    const root = [pose[0] + 0.5, pose[1] + 0.5];
    this.points = place(this.halls, decision);
    const chosen = new Set(trajectory);
    const group = draw(this.tree, "g", { class: `mine${past ? " past" : ""}`, colour });
    const lines = draw(group, "g"), way = draw(group, "g"), dots = draw(group, "g");
    const curve = (node) => {
      const from = parent[node] < 0 ? root : this.points[parent[node]], to = this.points[node];
      const corner = parent[node] < 0 ? null : shared(this.halls[hallway[parent[node]]], this.halls[hallway[node]]);
      const [cx, cy] = corner ?? [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
      return `M${from}Q${cx} ${cy} ${to}`;
    };
    this.curve = curve;
    const order = cosine.map((_, node) => node).sort((a, b) => cosine[a] - cosine[b]);
    for (const node of order) {
      const fit = strength(cosine[node]);
      draw(lines, "path", { class: "jump", d: curve(node), "stroke-width": 0.03 + 0.13 * fit, opacity: 0.12 + 0.8 * fit, "data-node": node, "data-parent": parent[node], "data-cosine": cosine[node] });
    }
    for (const node of trajectory) draw(way, "path", { class: "jump casing", d: curve(node), "stroke-width": 0.34 });
    for (const node of trajectory) draw(way, "path", { class: "jump chosen", d: curve(node), "stroke-width": 0.2 });
    for (const node of order) {
      const fit = strength(cosine[node]), mine = chosen.has(node);
      const [cx, cy] = this.points[node];
      draw(dots, "circle", { class: `node${mine ? " chosen" : ""}`, cx, cy, r: mine ? 0.22 : 0.07 + 0.08 * fit, opacity: mine ? 1 : 0.3 + 0.7 * fit, "stroke-width": 0.08 });
      const hit = draw(dots, "circle", { class: "hit", cx, cy, r: 0.28, "data-hit": node });
      hit.addEventListener("pointerenter", () => this.onNode(node));
      hit.addEventListener("pointerleave", () => this.onNode(null));
    }
    this.trace = draw(group, "g", { "pointer-events": "none" });
    this.parent = parent;
  }

  /** Highlights the way to a node. */
  traceNode(node) {
    this.trace?.replaceChildren();
    for (let at = node; at !== null && at >= 0; at = this.parent[at]) draw(this.trace, "path", { class: "jump traced", d: this.curve(at), "stroke-width": 0.12 });
  }
}

/** The cells of each hallway, in order, and the junctions at its ends. */
function hallways(layout) {
  const halls = [];
  layout.hallway.forEach((row, y) => row.forEach((number, x) => {
    if (number >= 0) (halls[number] ??= { cells: [], ends: new Set() }).cells.push([x, y]);
  }));
  for (const hall of halls) for (const [x, y] of hall.cells) for (const [dx, dy] of MOVES) {
    if (layout.hallway[y + dy][x + dx] < 0 && layout.rows[y + dy][x + dx] !== "#") hall.ends.add(`${x + dx},${y + dy}`);
  }
  return halls;
}

function shared(one, other) {
  if (one === other) return null;
  for (const end of one.ends) if (other.ends.has(end)) return end.split(",").map((value) => Number(value) + 0.5);
  return null;
}

/** A point for every node: those of one hallway stand in it in rows, nearer ones first. */
function place(halls, { hallway, depth }) {
  const points = new Array(hallway.length), groups = halls.map(() => []);
  hallway.forEach((number, node) => groups[number].push(node));
  groups.forEach((nodes, number) => {
    const { cells } = halls[number], [first, last] = [cells[0], cells.at(-1)], length = cells.length;
    const rows = Math.max(1, Math.round(Math.sqrt((nodes.length * 0.7) / length))), columns = Math.ceil(nodes.length / rows);
    const along = first[1] === last[1] ? [1, 0] : [0, 1];
    nodes.sort((a, b) => depth[a] - depth[b] || a - b);
    nodes.forEach((node, index) => {
      const column = Math.floor(index / rows), row = index % rows;
      const a = (length * (column + 0.5)) / columns, b = 0.5 + (0.8 * (row - (rows - 1) / 2)) / rows;
      points[node] = along[0] ? [first[0] + a, first[1] + b] : [first[0] + b, first[1] + a];
    });
  });
  return points;
}

// What stands beside the map: frames, the decision in words, the chosen trajectory, a node, the planner's options.

export const $ = (id) => document.getElementById(id);

export function make(name, properties = {}, children = []) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

const cosineText = (value) => value.toFixed(2);

export function showFrames(moment) {
  $("frame").src = moment.frames.at(-1);
  const before = moment.frames.slice(0, -1);
  $("context").replaceChildren(...before.map((src, index) => make("img", { src, alt: `${before.length - index} steps ago`, width: 40, height: 40 })));
}

export function status(moment, taken) {
  if (moment.success) return `At the goal after ${taken} steps: reward ${moment.reward}.`;
  if (moment.done) return `Out of steps after ${taken}: reward 0.`;
  return `Step ${taken}; the goal is ${moment.shortest} away.`;
}

/** The decision in words, with the trajectory's pictures. */
export function showDecision(decision, actions, past, onNode) {
  const list = $("pictures");
  if (!decision?.parent) {
    $("decision").textContent = decision ? "Nothing was imagined here." : "No decision yet: in a hallway only forward is legal.";
    list.replaceChildren();
    return;
  }
  const { transitions, budget, milliseconds, score, arrival, trajectory, pictures } = decision;
  const when = past ? "At the last choice" : "Now";
  $("decision").textContent = `${when}: ${actions[decision.action]}, towards cosine ${cosineText(score)} in ${arrival} ${arrival === 1 ? "jump" : "jumps"}. ${transitions} of ${budget} transitions, ${milliseconds.toFixed(0)} ms.`;
  list.replaceChildren(...trajectory.map((node, index) => {
    const picture = pictures ? [make("img", { src: pictures[index], alt: `Imagined after jump ${index + 1}`, width: 56, height: 56 })] : [];
    const item = make("li", {}, [...picture, `${index + 1} ${actions[decision.action_of[node]]}`, make("br"), cosineText(decision.cosine[node])]);
    item.dataset.node = node;
    item.onpointerenter = () => onNode(node);
    item.onpointerleave = () => onNode(null);
    return item;
  }));
}

/** What a node says, or how to ask it. */
export function showNode(decision, node, actions) {
  for (const item of $("pictures").children) item.classList.toggle("traced", Number(item.dataset.node) === node);
  if (node === null || !decision?.parent) {
    $("node").replaceChildren(make("p", { textContent: decision?.parent ? "Point at a node of the tree to read it." : "" }));
    return;
  }
  const legal = actions.filter((_, action) => (decision.legal[node] >> action) & 1).join(", ");
  const texts = { depth: decision.depth[node], action: actions[decision.action_of[node]], cosine: cosineText(decision.cosine[node]), hallway: `${decision.hallway[node]} (${cosineText(decision.sure[node])})` };
  const cells = Object.entries(texts).flatMap(([name, text]) => [make("dt", { textContent: name }), make("dd", { textContent: text })]);
  $("node").replaceChildren(...cells);
  $("node").append(make("dt", { textContent: "legal" }), make("dd", { textContent: legal, className: "wide" }));
}

/** The planner's form; `onChange` gets {kind, options}. */
export function showPlanner(planner, planners, onChange) {
  $("planner").hidden = !planner;
  if (!planner) return;
  const kinds = Object.keys(planners);
  $("kind").replaceChildren(...kinds.map((kind) => make("option", { value: kind, textContent: kind, selected: kind === planner.kind })));
  $("kind").onchange = () => onChange({ kind: $("kind").value, options: {} });
  const fields = planners[planner.kind].map(({ name, default: standard }) => {
    const value = planner.options[name] ?? standard, flag = typeof standard === "boolean";
    const input = make("input", flag ? { type: "checkbox", checked: value } : { type: "number", value, step: Number.isInteger(standard) && !name.includes("tolerance") ? 1 : "any" });
    input.name = name;
    input.onchange = () => {
      const number = flag ? input.checked : input.value === "" ? standard : Number(input.value);
      onChange({ kind: planner.kind, options: { ...planner.options, [name]: number } });
    };
    return make("label", {}, [`${name.replaceAll("_", " ")} `, input]);
  });
  $("options").replaceChildren(...fields);
}

/** What a model expected, beside what came. */
export function showDriving(moment, mask) {
  const set = (image, src) => src ? (image.src = src) : image.removeAttribute("src");
  set($("expected"), moment.expected);
  set($("came"), moment.expected && moment.frames.at(-1));
  $("off").textContent = moment.expected ? `They differ by ${(100 * moment.off).toFixed(1)} % of white.` : "It says what it expects from the first choice on.";
  let next = 0;
  for (const button of document.querySelectorAll(".ahead button")) button.dataset.picture = "";
  mask.forEach((legal, action) => {
    const button = document.querySelector(`.ahead button[data-action="${action}"]`);
    button.disabled = !legal || moment.done;
    set(button.querySelector("img"), legal && moment.ahead ? moment.ahead[next] : null);
    next += legal;
  });
}

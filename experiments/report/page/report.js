// Shows at once what a mark says; without it browsers show the same text after a moment.
const tip = document.body.appendChild(Object.assign(document.createElement("div"), { id: "tip", hidden: true }));
document.addEventListener("pointermove", (event) => {
  const mark = event.target.closest?.("svg *"), title = mark?.closest(":has(> title)")?.querySelector(":scope > title");
  tip.hidden = !title;
  if (!title) return;
  tip.textContent = title.textContent;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 16}px`;
});

"use strict";
addEventListener("hashchange", () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const block = target && target.closest("details");
  if (block && !block.open) {
    block.open = true;
    target.scrollIntoView();
  }
});
for (const bar of document.querySelectorAll(".q")) {
  const scope = document.getElementById(bar.dataset.scope);
  const status = bar.querySelector("[role=status]");
  const noun = bar.dataset.noun;
  const form = document.createElement("form");
  const add = (title, control) => {
    const label = document.createElement("label");
    label.append(title, control);
    form.append(label);
    return control;
  };
  const selects = JSON.parse(bar.dataset.spec).map(([title, values]) => {
    const select = add(title, document.createElement("select"));
    select.append(new Option("any", ""), ...values.map((words, place) => new Option(words, place.toString(36))));
    return select;
  });
  const words = add("Id or words", document.createElement("input"));
  words.type = "search";
  const clear = document.createElement("button");
  clear.type = "reset";
  clear.textContent = "Show all";
  form.append(clear);
  bar.prepend(form);
  let rows = null;
  const apply = () => {
    rows ??= Array.from(scope.querySelectorAll("[data-f]"), (element) => ({
      element, values: element.dataset.f, text: null,
    }));
    const wanted = selects.map((select) => select.value);
    const sought = words.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      let keep = wanted.every((value, place) => !value || row.values[place] === value);
      if (keep && sought) {
        row.text ??= row.element.textContent.toLowerCase();
        keep = row.text.includes(sought);
      }
      if (row.element.hidden === keep) row.element.hidden = !keep;
      if (keep) shown += 1;
    }
    for (const group of scope.querySelectorAll("[data-g]")) {
      group.hidden = !group.querySelector("[data-f]:not([hidden])");
    }
    const count = (number) => number.toLocaleString("en");
    status.textContent = shown === rows.length
      ? `${count(shown)} ${noun}` : `${count(shown)} of ${count(rows.length)} ${noun}`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  addEventListener("hashchange", () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && scope.contains(target) && target.closest("[hidden]")) {
      form.reset();
      setTimeout(() => target.scrollIntoView());
    }
  });
}
if (document.querySelector("main.big")) {
  let run = 0;
  const settle = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const own = (run += 1);
    let left = 200;
    let still = 0;
    const step = () => {
      if (!target || own !== run || left === 0 || still === 4) return;
      left -= 1;
      const before = Math.round(target.getBoundingClientRect().top);
      target.scrollIntoView();
      still = Math.round(target.getBoundingClientRect().top) === before ? still + 1 : 0;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  };
  for (const name of ["wheel", "touchstart", "keydown", "pointerdown"]) {
    addEventListener(name, () => { run += 1; }, { passive: true });
  }
  addEventListener("hashchange", settle);
  addEventListener("load", settle);
}

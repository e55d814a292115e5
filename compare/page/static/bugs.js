// Break it: switch on a planted bug, and see accuracy hold while parity does not.

function startBugs(data) {
  const section = document.getElementById("break");
  const honest = { name: "", title: "The code as it is", accuracy: null };
  const choices = [...section.querySelectorAll("input[name=bug]")];
  const byName = new Map(data.bugs.map((bug) => [bug.name, bug]));
  const isNarrow = matchMedia("(max-width: 62rem)"); // one column: see parts.css
  const update = () => {
    const chosen = choices.find((input) => input.checked);
    showBug(section, data, byName.get(chosen.value) ?? honest);
    placeResult(section, chosen.closest("label"), isNarrow.matches);
  };
  for (const input of choices) {
    input.addEventListener("change", () => {
      const topOf = () => input.getBoundingClientRect().top;
      const before = topOf();
      update();
      scrollBy({ top: topOf() - before, behavior: "instant" }); // what was tapped stays in place
    });
  }
  isNarrow.addEventListener("change", update);
  update();
}

// In one column the result stands below the choice that it belongs to.
function placeResult(section, label, isNarrow) {
  const result = section.querySelector(".card");
  if (isNarrow) label.after(result);
  else section.querySelector(".break-grid").append(result);
}

function showBug(section, data, bug) {
  const set = (name, text) => (section.querySelector(`[data-of-bug=${name}]`).textContent = text);
  const isOn = Boolean(bug.name);
  section.querySelector(".diff-lines").hidden = !isOn;
  set("title", bug.title);
  set("right", bug.right ?? "");
  set("wrong", bug.wrong ?? "");
  showAccuracy(section, data, bug);
  const checks = Object.entries(isOn ? bug.error_ratios : data.honest);
  const row = section.querySelector(".checks");
  row.replaceChildren(...checks.map(([check, ratio]) => checkOf(bug, check, ratio)));
  const caught = isOn ? bug.caught_by.length : 0;
  const named = bug.first_intermediate ? ` ${traceOf(bug)}: ${bug.first_intermediate}.` : "";
  set(
    "verdict",
    caught
      ? `Parity fails: ${caught} of ${checks.length} checks.${named}`
      : "Parity holds: every error is within what rounding allows.",
  );
  section.querySelector("[data-of-bug=verdict]").classList.toggle("failed", caught > 0);
}

// What the check of the intermediates does not see, a trace can: it also tries enormous scores.
function traceOf(bug) {
  if (bug.caught_by.includes("intermediates")) return "The first intermediate that a trace finds wrong";
  return "With ordinary scores every intermediate holds; with enormous ones the first that a trace finds wrong";
}

function showAccuracy(section, data, bug) {
  // Without a bug there is one accuracy; every measured bug was held against the same one.
  const right = (bug.accuracy ?? data.bugs[0].accuracy).right;
  const wrong = bug.accuracy?.wrong ?? right;
  for (const [name, value] of Object.entries({ right, wrong })) {
    const row = section.querySelector(`[data-accuracy=${name}]`);
    row.querySelector(".bar").style.setProperty("--share", value);
    row.querySelector(".number").textContent = sayPercent(value);
  }
  const points = 100 * (wrong - right);
  const moved = `${points >= 0 ? "+" : "−"}${Math.abs(points).toFixed(2)} points`;
  section.querySelector("[data-of-bug=moved]").textContent = bug.accuracy ? moved : "no bug is on";
}

function checkOf(bug, check, ratio) {
  const isCaught = bug.caught_by?.includes(check) ?? false;
  const number = ratio === null ? (isCaught ? "no number" : "not asked") : say(ratio, 2);
  const look = isCaught ? "failed" : ratio === null ? "unasked" : "";
  const said = ratio === null ? number : `${number} × bound`;
  return element(
    "li",
    { class: `check ${look}` },
    element("span", { class: "check-name" }, check),
    element("span", { class: "check-verdict" }, isCaught ? "✕ broken" : ratio === null ? "–" : "✓ holds"),
    element("span", { class: "number" }, said),
  );
}

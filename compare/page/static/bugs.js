// Break it: switch on a planted bug, and see that accuracy holds but parity fails.

function startBugs(data) {
  const section = document.getElementById("break");
  const honest = { name: "", title: "The correct code", accuracy: null };
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

// In one column, the result is shown below its choice.
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
      : "Parity holds: every error is within its rounding bound.",
  );
  section.querySelector("[data-of-bug=verdict]").classList.toggle("failed", caught > 0);
}

// A trace also tries enormous scores, which the check of the intermediates does not.
function traceOf(bug) {
  if (bug.caught_by.includes("intermediates")) return "The first wrong intermediate in a trace";
  return "Every intermediate passes with ordinary scores; the first wrong one in a trace with enormous scores";
}

function showAccuracy(section, data, bug) {
  // All bugs were compared with the same accuracy without a bug.
  const right = (bug.accuracy ?? data.bugs[0].accuracy).right;
  const wrong = bug.accuracy?.wrong ?? right;
  for (const [name, value] of Object.entries({ right, wrong })) {
    const row = section.querySelector(`[data-accuracy=${name}]`);
    row.querySelector(".bar").style.setProperty("--share", value);
    row.querySelector(".number").textContent = sayPercent(value);
  }
  const points = 100 * (wrong - right);
  const moved = `${points >= 0 ? "+" : "−"}${Math.abs(points).toFixed(2)} points`;
  section.querySelector("[data-of-bug=moved]").textContent = bug.accuracy ? moved : "no bug is switched on";
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

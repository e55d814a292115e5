// Break it: switch on a planted bug, and see accuracy hold while parity does not.

function startBugs(data) {
  const section = document.getElementById("break");
  const honest = { name: "", title: "The code as it is", accuracy: null };
  const choices = section.querySelectorAll("input[name=bug]");
  const byName = new Map(data.bugs.map((bug) => [bug.name, bug]));
  choices.forEach((input) => {
    input.addEventListener("change", () => showBug(section, data, byName.get(input.value) ?? honest));
  });
  const chosen = [...choices].find((input) => input.checked);
  showBug(section, data, byName.get(chosen.value) ?? honest);
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
  const named = bug.first_intermediate ? ` A trace names: ${bug.first_intermediate}.` : "";
  set(
    "verdict",
    caught
      ? `Parity fails: ${caught} of ${checks.length} checks.${named}`
      : "Parity holds: every error is within what rounding allows.",
  );
  section.querySelector("[data-of-bug=verdict]").classList.toggle("failed", caught > 0);
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

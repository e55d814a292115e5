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
  const claims = Object.entries(isOn ? bug.shares : data.honest);
  const row = section.querySelector(".claims");
  row.replaceChildren(...claims.map(([claim, share]) => claimOf(bug, claim, share)));
  const caught = isOn ? bug.caught_by.length : 0;
  const step = bug.first_step ? ` A trace names the step: ${bug.first_step}.` : "";
  set(
    "verdict",
    caught
      ? `Parity fails: ${caught} of ${claims.length} claims.${step}`
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

function claimOf(bug, claim, share) {
  const isCaught = bug.caught_by?.includes(claim) ?? false;
  const number = share === null ? (isCaught ? "no number" : "not asked") : say(share, 2);
  const look = isCaught ? "failed" : share === null ? "unasked" : "";
  const said = share === null ? number : `${number} × bound`;
  return element(
    "li",
    { class: `claim ${look}` },
    element("span", { class: "claim-name" }, claim),
    element("span", { class: "claim-verdict" }, isCaught ? "✕ broken" : share === null ? "–" : "✓ holds"),
    element("span", { class: "number" }, said),
  );
}

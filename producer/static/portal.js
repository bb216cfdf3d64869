// Asks where the message is until it has been sorted, then now and then.
"use strict";

(() => {
  const standing = document.getElementById("standing");
  const emergency = document.getElementById("emergency");
  const lost = document.getElementById("lost");
  const quickMs = 700;
  const slowMs = 10000;
  let waitMs = quickMs;

  const setText = (element, text) => {
    // Unchanged text is left alone, or screen readers would read it again.
    if (element.textContent !== text) element.textContent = text;
  };

  const show = (now) => {
    setText(document.getElementById("patient-text"), now.patient_text);
    standing.dataset.processing = now.processing ? "yes" : "no";
    document.getElementById("pool").hidden = !now.pool;
    setText(document.getElementById("pool-title"), now.pool ? now.pool.title : "");
    setText(emergency, now.emergency_text || "");
    emergency.hidden = !now.emergency_text;
  };

  const ask = async () => {
    try {
      const answer = await fetch(standing.dataset.source, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const now = await answer.json();
      show(now);
      lost.hidden = true;
      waitMs = now.processing ? quickMs : slowMs;
    } catch {
      lost.hidden = false;
      waitMs = Math.min(waitMs * 2, slowMs);
    }
    window.setTimeout(ask, waitMs);
  };

  window.setTimeout(ask, quickMs);
})();

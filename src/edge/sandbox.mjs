// Plays the sandbox's script as if an upstream had answered.

/** A Response that sends the script's steps with their waits, and ends as the script says. */
export async function playScript(script, signal) {
  const encoder = new TextEncoder();
  const steps = script.steps.map(({ wait, text }) => ({ wait, bytes: encoder.encode(text) }));
  if (steps.length > 0) await pause(steps[0].wait, signal);
  else if (script.ending === "hang") await pause(undefined, signal);
  let at = 0;
  const body = new ReadableStream({
    async pull(controller) {
      if (at < steps.length) {
        const step = steps[at];
        if (at > 0) await pause(step.wait, signal);
        at += 1;
        controller.enqueue(step.bytes);
      } else if (script.ending === "complete") controller.close();
      else if (script.ending === "cut") controller.error(new Error("the sandbox cut the connection"));
      else await pause(undefined, signal);
    },
  });
  return new Response(body, { status: script.status, headers: script.headers });
}

/** Waits so many milliseconds, or until the signal, which rejects. */
function pause(milliseconds, signal) {
  if (milliseconds === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Error("aborted"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    if (milliseconds !== undefined) setTimeout(resolve, milliseconds);
  });
}

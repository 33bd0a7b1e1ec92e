// A model that is called by a binding of the deployment instead of by HTTP.

/** Runs `model` with the JSON in `bytes`; the answer looks like that of a fetch, and breaks off with `signal`. */
export async function runBound(binding, model, bytes, signal) {
  const inputs = JSON.parse(new TextDecoder().decode(bytes));
  const running = binding.run(model, inputs, { returnRawResponse: true });
  const response = signal === undefined ? await running : await Promise.race([running, aborted(signal)]);
  if (signal === undefined || response.body === null) return response;
  // A binding takes no signal, so its body is let go from here.
  const body = response.body.pipeThrough(new IdentityTransformStream(), { signal });
  return new Response(body, { status: response.status, headers: response.headers });
}

function aborted(signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

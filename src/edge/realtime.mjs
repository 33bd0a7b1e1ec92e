// Talks: two sockets, and what goes between them. Events that say what was used are told to the core, which says when a
// talk has to end.

/** What events hold that say what was used, or by whom what is heard is written down. */
const TO_PAY = /"usage"|transcription"/;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** The limits of this gateway, in the words of RFC 6455. */
const POLICY = 1008;
const BROKEN = 1011;

/**
 * Connects a caller with the provider's socket. Gives the end that the caller's answer takes. `settle` is called when
 * something has to be written down.
 */
export function relay(core, live, far, settle) {
  const [theirs, near] = Object.values(new WebSocketPair());
  const talk = new Talk(core, live, near, far, settle);
  // What is no text would else come as a Blob, which cannot be sent on.
  near.binaryType = far.binaryType = "arraybuffer";
  near.accept();
  far.accept();
  // What a caller says waits until the turn before has been paid: nothing is said that nobody could pay for.
  near.addEventListener("message", ({ data }) => void talk.metering.then(() => talk.pass(far, data)));
  far.addEventListener("message", ({ data }) => {
    talk.pass(near, data);
    if (typeof data === "string" && TO_PAY.test(data)) talk.meter(data);
  });
  near.addEventListener("close", ({ code, reason }) => talk.close(far, code, reason, () => core.gone(live.call, Date.now())));
  far.addEventListener("close", ({ code, reason }) => talk.close(near, code, reason, () => core.end(live.call, Date.now())));
  // What a caller breaks is no failure of the provider.
  near.addEventListener("error", () => talk.close(far, undefined, "", () => core.gone(live.call, Date.now())));
  far.addEventListener("error", (error) => talk.fail(String(error?.message ?? "the connection failed")));
  return theirs;
}

class Talk {
  constructor(core, live, near, far, settle) {
    Object.assign(this, { core, live, near, far, settle });
    this.over = false;
    /** Turns are paid one after the other. */
    this.metering = Promise.resolve();
  }

  pass(socket, data) {
    if (!this.over) socket.send(data);
  }

  /** One side has closed: the other is told, once what was said before has been paid. */
  close(other, code, reason, tell) {
    if (this.over) return;
    this.over = true;
    // 1005 and 1006 say that there was no code, and cannot be sent.
    const known = code === 1005 || code === 1006 || code === undefined ? 1000 : code;
    try {
      other.close(known, reason);
    } catch {
      // It is closed already.
    }
    this.metering = this.metering.then(() => this.end(tell));
    this.live.ctx.waitUntil(this.metering);
  }

  meter(event) {
    this.metering = this.metering.then(() => this.pay(event)).catch((error) => this.fail(String(error)));
    this.live.ctx.waitUntil(this.metering);
  }

  /** Pays a turn and holds what the next one may take; where that cannot be had, the caller is told and hung up on. */
  async pay(event) {
    const { core, live } = this;
    const out = core.feed(live.call, encoder.encode(event), Date.now());
    this.settle();
    if (out !== undefined) return;
    const onward = core.pending(live.call);
    let step = onward === "" ? { do: "finish" } : JSON.parse(onward);
    for (;;) {
      if (step.do === "ledger") step = JSON.parse(await core.ask_ledger(live.env, step.call, step.team, core.take_bytes()));
      else if (step.do === "wait") {
        await scheduler.wait(step.wait);
        step = JSON.parse(core.waited(live.call, Date.now()));
      } else break;
    }
    if (step.do === "finish" && !this.over) this.hangUp(core.take_bytes(), POLICY);
  }

  fail(reason) {
    if (this.over) return;
    const { do: what } = JSON.parse(this.core.broken(this.live.call, reason, Date.now()));
    this.hangUp(what === "finish" ? this.core.take_bytes() : new Uint8Array(0), BROKEN);
  }

  hangUp(event, code) {
    this.over = true;
    const text = decoder.decode(event);
    for (const socket of [this.near, this.far]) {
      try {
        if (socket === this.near && text !== "") socket.send(text);
        socket.close(code, "the talk cannot go on");
      } catch {
        // It is closed already.
      }
    }
    this.end();
  }

  end(tell) {
    tell?.();
    this.live.over = true;
    this.settle();
  }
}

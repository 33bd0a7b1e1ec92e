// A streamed answer: reads the upstream, feeds the core, writes what it gives to the caller.
//
// What costs here is the plumbing, not the work: entering the isolate to read a chunk and again to complete its write
// is some 25 µs of CPU, translating it one or two. So there are three ways to move chunks:
//
// - the plain loop: one read, one write, each token leaves at once. Every stream begins here.
// - gathering: when chunks come in a burst, or faster than anybody reads, and the isolate has many streams to serve, the
//   upstream is drained natively, and what has come is taken in one read now and then, and at the end.
// - passing: when nothing of the rest must change, the bytes flow natively and a copy is read along now and then.

/** Bytes that may wait for a slow caller before the upstream is read on. */
const MOST_AHEAD = 256 * 1024;
/**
 * Reads less than this apart, in milliseconds, are quick; so many of them more than of others start gathering. What can
 * pass natively is gathered only in a burst. Among fewer than so many reads, a late one says nothing yet.
 */
const QUICK = 7;
const BURST = 3;
const QUICK_READS = 3;
const FIRST_READS = 5;
/** With fewer live streams in the isolate, gathering would only add latency. */
const BUSY = 4;
/**
 * Pauses between two gathered reads, too short to be seen: they grow while many chunks come, and when timers come late,
 * which means that the isolate is short of CPU. After so many reads in a row that brought no more than one, each is
 * written at once again.
 */
const SHORTEST_PAUSE = 12;
const LONGEST_PAUSE = 16;
const MANY = 8;
const CALM_READS = 4;
/** A gathered read, and a read along a passing stream; the longest pause between two of the latter. */
const GULP = 32 * 1024;
const LONGEST_PASSING_PAUSE = 500;

const ignore = () => {};
let liveStreams = 0;

/** A native sink that keeps nothing of what it is given: only once in so many bytes they are told of here. */
function sink() {
  const { readable, writable } = new IdentityTransformStream();
  forget(readable).catch(ignore);
  return writable;
}

async function forget(readable) {
  const reader = readable.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(GULP);
  for (;;) {
    // A compressor would take what comes as well, and a sixth of a stream's CPU.
    const { done, value } = await reader.readAtLeast(GULP, new Uint8Array(buffer));
    if (done) return;
    buffer = value.buffer;
  }
}

export class LiveStream {
  constructor(core, live, step, upstream) {
    this.core = core;
    this.live = live;
    this.step = step;
    this.body = upstream.body;
    this.ahead = 0;
    this.lastRead = Date.now();
    // Deadlines count from the sending of the request.
    this.begun = live.sent;
    this.spoke = false;
    this.mayPass = false;
    // A burst is gathered once: what comes after it comes slowly.
    this.gathered = false;
    // The call may go on elsewhere after this stream has failed.
    this.moved = false;
  }

  /** Gives the answer's head to `answer` once the core has committed the call or given it up. */
  async run(answer) {
    this.answer = answer;
    const { live } = this;
    liveStreams += 1;
    this.watch();
    try {
      if (this.body === null) return this.end();
      await this.loop();
    } catch (error) {
      if (!live.over) await this.fail(error);
    } finally {
      liveStreams -= 1;
      clearTimeout(this.timer);
      if (!this.moved) live.end();
      // Nobody has been answered whose caller left before the first token; for others this is one word too many.
      answer({ do: "finish" });
    }
  }

  async loop() {
    const { live } = this;
    this.reader = this.body.getReader();
    let quick = 0;
    let size = 0;
    for (let reads = 1; ; reads += 1) {
      const before = this.lastRead;
      const { done, value } = await this.reader.read();
      if (live.over) return;
      if (done) return this.end();
      this.take(value);
      if (this.moved) return;
      if (this.onward !== undefined) return this.goOn(this.onward);
      if (live.over) return this.close();
      if (this.ahead > MOST_AHEAD) await this.catchUp();
      size += value.byteLength;
      const isQuick = this.lastRead - before < (this.mayPass ? BURST : QUICK);
      // In a busy isolate a read may come late without its chunk having done so.
      quick = isQuick ? quick + 1 : Math.max(quick - 1, 0);
      if (this.writer === undefined) continue;
      // The sandbox's stream is not one of the runtime's own, which alone can be drained and passed natively.
      if (this.step.sandbox !== undefined) continue;
      // Bytes that pass natively pass one chunk at a time: a burst costs less when it is gathered.
      const mayGather = liveStreams >= BUSY && !this.gathered;
      if (mayGather && quick >= QUICK_READS) return this.gather(size / reads);
      if (this.mayPass && !(mayGather && (quick > 0 || reads < FIRST_READS))) return this.pass();
    }
  }

  /**
   * Reads what has come since the last read, with a pause between, while the runtime drains the upstream natively.
   * `chunk` is how many bytes came with one read until now.
   */
  async gather(chunk) {
    const { live } = this;
    this.gathered = true;
    this.reader.releaseLock();
    const [drained, ours] = this.body.tee();
    this.body = ours;
    const stop = new AbortController();
    const come = drained.pipeTo(sink(), { signal: stop.signal }).catch(ignore);
    this.reader = ours.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(GULP);
    let pause = SHORTEST_PAUSE;
    let calm = 0;
    try {
      for (;;) {
        const due = Date.now() + pause;
        // What was stopped for a slow caller has come to an end of its own.
        await (stop.signal.aborted ? scheduler.wait(pause) : Promise.race([scheduler.wait(pause), come]));
        const late = Date.now() - due;
        const { done, value } = await this.reader.read(new Uint8Array(buffer));
        if (live.over) return;
        if (done) return this.end();
        this.take(value);
        // What passes as it came is still being written.
        buffer = this.mayPass ? new ArrayBuffer(GULP) : value.buffer;
        if (this.onward !== undefined) return this.goOn(this.onward);
        if (live.over) return this.close();
        if (this.ahead > MOST_AHEAD) {
          // The caller is slow: from here the upstream is read at the caller's pace.
          stop.abort();
          await this.catchUp();
        }
        const chunks = value.byteLength / chunk;
        pause = chunks >= MANY || late > pause / 2 ? LONGEST_PAUSE : SHORTEST_PAUSE;
        calm = chunks < 1.5 ? calm + 1 : 0;
        if (calm >= CALM_READS) break;
      }
    } finally {
      stop.abort();
      if (live.over) this.reader.cancel().catch(ignore);
    }
    this.reader.releaseLock();
    return this.loop();
  }

  /** Lets the rest flow natively and reads a copy along, for usage, errors and the end. */
  async pass() {
    const { core, live } = this;
    this.reader.releaseLock();
    this.writer.releaseLock();
    const [theirs, ours] = this.body.tee();
    let broken;
    this.passed = theirs.pipeTo(this.writable, { preventClose: true, preventAbort: true }).catch((error) => {
      broken = error;
    });
    this.reader = ours.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(GULP);
    let pause = 10;
    let last;
    for (;;) {
      // What is looked at less often than a stream may be silent would seem so.
      pause = Math.min(pause * 2, LONGEST_PASSING_PAUSE, this.step.idle / 4);
      await Promise.race([scheduler.wait(pause), this.passed]);
      const { done, value } = await this.reader.read(new Uint8Array(buffer));
      if (live.over) return;
      if (done) break;
      this.lastRead = Date.now();
      if (core.feed(live.call, value, this.lastRead) === undefined) {
        // An error event of the upstream's has already reached the caller as it came.
        last = core.take_bytes();
        break;
      }
      this.spoke ||= core.has_spoken(live.call);
      buffer = value.buffer;
    }
    await this.takeBack();
    if (live.over) return;
    if (last !== undefined) {
      this.write(last);
      return this.close();
    }
    if (broken !== undefined) throw broken;
    return this.end();
  }

  /** Once what passes has passed, the rest of the stream is ours to write again. */
  async takeBack() {
    await this.slowly(this.passed);
    this.passed = undefined;
    this.writer = this.writable.getWriter();
    this.writer.closed.catch(() => this.leave());
  }

  /** Feeds a piece of the upstream and writes what comes of it. */
  take(bytes) {
    const { core, live } = this;
    const now = (this.lastRead = Date.now());
    if (this.writer !== undefined) {
      const out = core.feed(live.call, bytes, now);
      // A ping or a role to a stream that silence began is no word: its deadline for the first token goes on.
      this.spoke ||= core.has_spoken(live.call);
      // What may pass goes on as it came.
      if (this.mayPass) this.write(bytes);
      if (out !== undefined) return this.write(out);
      const onward = core.pending(live.call);
      if (onward !== "") {
        this.onward = JSON.parse(onward);
        return;
      }
      this.write(core.take_bytes());
      live.over = true;
      return;
    }
    const step = JSON.parse(core.peek(live.call, bytes, now));
    if (step.do === "hold") return;
    this.spoke = core.has_spoken(live.call);
    if (step.do === "commit") this.commit(step);
    else this.give(step);
  }

  /** A step without a stream: the whole answer, or the next attempt, before which this upstream is let go of. */
  give(step) {
    if (step.do === "respond" || step.do === "finish") this.live.over = true;
    else {
      this.moved = true;
      clearTimeout(this.timer);
    }
    this.answer(step);
  }

  /** The head goes out; from here on only bytes do. */
  commit(step) {
    const { readable, writable } = new IdentityTransformStream();
    this.writable = writable;
    this.writer = writable.getWriter();
    this.writer.closed.catch(() => this.leave());
    this.mayPass = step.relay;
    const first = this.core.take_bytes();
    this.answer(step, readable);
    this.write(first);
  }

  /** Writes without waiting; how much is ahead of the caller is counted. */
  write(bytes) {
    if (bytes.length === 0) return;
    if (this.live.drained) return;
    this.ahead += bytes.length;
    this.last = this.writer.write(bytes);
    this.last.catch(ignore);
  }

  async catchUp() {
    await this.slowly(this.last);
    this.ahead = 0;
  }

  /** Waits for a caller who is slow: meanwhile nobody reads the upstream, so it is not silent. */
  async slowly(written) {
    this.waits = true;
    await written;
    this.waits = false;
    this.lastRead = Date.now();
  }

  /** The upstream's body ended: in good order or not, the core knows. */
  end() {
    return this.finish(JSON.parse(this.core.end(this.live.call, Date.now())));
  }

  /** The core's last step: a whole answer if nothing was sent yet, else the last bytes. */
  finish(step) {
    if (this.writer === undefined) return this.give(step);
    if (step.do === "break") return this.breakOff();
    if (step.do !== "finish") return this.goOn(step);
    this.live.over = true;
    this.write(this.core.take_bytes());
    return this.close();
  }

  /** The answer goes on with another target: what that says is written behind what this one said. */
  async goOn(step) {
    const { live } = this;
    clearTimeout(this.timer);
    const next = await live.goOn(step);
    if (live.over) return;
    if (next.upstream === undefined) return this.finish(next);
    this.write(next.bytes);
    this.onward = undefined;
    this.deadline = undefined;
    this.step = live.step;
    this.body = next.upstream.body;
    this.gathered = false;
    this.begun = live.sent;
    this.lastRead = Date.now();
    this.spoke = false;
    live.rest();
    this.watch();
    try {
      await this.loop();
    } catch (error) {
      if (!live.over) await this.fail(error);
    }
  }

  /** The caller sees that something is missing. */
  breakOff() {
    this.live.over = true;
    return this.writer.abort(new Error("the provider broke off")).catch(ignore);
  }

  close() {
    this.live.keep();
    return this.writer?.close().catch(ignore);
  }

  async fail(error) {
    const { core, live } = this;
    if (this.passed !== undefined) {
      live.abort.abort();
      await this.takeBack();
    }
    const now = Date.now();
    const told = this.deadline ? core.expired(live.call, this.deadline, now) : core.broken(live.call, String(error), now);
    return this.finish(JSON.parse(told));
  }

  /** The caller stopped reading. */
  leave() {
    if (this.live.over || this.passed !== undefined) return;
    this.live.gone();
  }

  /** One timer for all deadlines of the stream and for its keep-alive comments. */
  watch() {
    const { step, live } = this;
    if (live.over || this.moved) return;
    const now = Date.now();
    if (this.waits) this.lastRead = now;
    const quiet = this.spoke
      ? [this.lastRead + step.idle, "idle"]
      : [this.begun + step.first_token, "first_token"];
    const [expires, deadline] = quiet[0] < this.begun + step.total ? quiet : [this.begun + step.total, "total"];
    if (expires <= now) {
      this.deadline = deadline;
      live.abort.abort();
      return;
    }
    live.renew();
    const remark = Math.max(this.lastRead, this.remarked ?? 0) + step.commit_after;
    if (remark <= now) this.breakSilence(now);
    // The first token may have come by then, and what follows it may have ended.
    const next = Math.min(expires, now + step.idle, remark > now ? remark : now + step.commit_after);
    this.timer = setTimeout(() => this.watch(), next - now);
  }

  /** Commits the call to its target, or keeps the connection warm. */
  breakSilence(now) {
    this.remarked = now;
    if (this.passed !== undefined) return;
    const step = JSON.parse(this.core.silence(this.live.call, now));
    if (step.do === "commit") this.commit(step);
    else this.write(this.core.take_bytes());
  }
}

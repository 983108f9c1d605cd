/**
 * Where frames of Zstandard end, and what they say of themselves (RFC 8878). Node decompresses the first of several and says
 * nothing of the others; Node 22 takes one that is cut off for one that is shorter. And what decompresses them where Node
 * cannot believes what they say.
 */

const MAGIC = 0xfd2fb528;
/** The last four bits are anybody's. */
const SKIPPABLE = 0x184d2a5;
const CHECKSUM_BYTES = 4;
/** Kinds of blocks: one byte repeated; none. Others are as long as they say. */
const RLE_BLOCK = 1;
const NO_BLOCK = 3;

/** What is to be read next: the bytes themselves, or only past them. */
type Step = { readonly read: number } | { readonly pass: number };

/** What a frame says of what comes out of it. */
export interface ZstdHead {
  /** What decompressing it holds. */
  readonly windowBytes: number;
  /** 0 where it does not say. */
  readonly contentBytes: number;
}

export class ZstdFrame {
  /** Null of a frame without content, and until it is there. */
  head: ZstdHead | null = null;
  blocks = 0;
  /** It does not begin as frames do, or has a block of a kind that there is not. */
  isDamaged = false;
  readonly #steps = this.#walk();
  #step = this.#steps.next().value as Step;
  #held: number[] = [];
  #passed = 0;
  #isWhole = false;

  /** Takes the next bytes of the file. @returns how many of them are the frame's; it goes on behind them if all are */
  push(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && !this.#isWhole) {
      if ('pass' in this.#step) {
        const count = Math.min(this.#step.pass - this.#passed, bytes.length - at);
        this.#passed += count;
        at += count;
        if (this.#passed === this.#step.pass) this.#next();
      } else {
        this.#held.push(bytes[at++]);
        if (this.#held.length === this.#step.read) this.#next();
      }
    }
    return at;
  }

  /** Whether it has come to its end. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  #next(): void {
    do {
      const { value, done = false } = this.#steps.next(this.#held);
      this.#held = [];
      this.#passed = 0;
      this.#isWhole = done;
      if (value !== undefined) this.#step = value;
    } while (!this.#isWhole && 'pass' in this.#step && this.#step.pass === 0);
  }

  *#walk(): Generator<Step, void, readonly number[]> {
    const magic = whole(yield { read: 4 });
    if (magic >>> 4 === SKIPPABLE) {
      yield { pass: whole(yield { read: 4 }) };
      return;
    }
    this.isDamaged = magic !== MAGIC;
    const [descriptor] = yield { read: 1 };
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const [window] = isSingleSegment ? [0] : yield { read: 1 };
    yield { pass: [0, 1, 2, 4][descriptor & 3] };
    const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6];
    const size = sizeBytes === 0 ? 0 : whole(yield { read: sizeBytes });
    const contentBytes = sizeBytes === 2 ? size + 256 : size;
    this.head = { contentBytes, windowBytes: isSingleSegment ? contentBytes : windowOf(window) };
    for (let isLast = false; !isLast; this.blocks++) {
      const block = whole(yield { read: 3 });
      const kind = (block >>> 1) & 3;
      isLast = (block & 1) === 1;
      this.isDamaged ||= kind === NO_BLOCK;
      yield { pass: kind === RLE_BLOCK ? 1 : block >>> 3 };
    }
    yield { pass: (descriptor & 0x04) === 0 ? 0 : CHECKSUM_BYTES };
  }
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** Little-endian. */
function whole(bytes: readonly number[]): number {
  return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
}

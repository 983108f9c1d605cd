/**
 * MessagePack files: a stream of maps, one a record, or the columnar snapshot that docs/formats.md describes.
 * The first value tells which.
 */

import { ImportError } from '../../errors.js';
import type { Json } from '../../schema/event.js';
import { isOwnMap } from '../own-marks.js';
import type { ByteChunks, RawItem, RecordReader } from '../reader.js';
import { recordItem } from '../values.js';
import { MsgpackParser, renamedBack } from './parser.js';
import { isSnapshotHeader, recordsOfBatch } from './snapshot-reader.js';

/** The longest record, or batch of a snapshot. */
const VALUE_BYTES_MAX = 512 * 1024 * 1024;

export class MsgpackReader implements RecordReader {
  readonly columns = null;
  readonly textual = false;
  readonly #chunks: ByteChunks;
  #records = 0;
  #isSnapshot = false;

  constructor(chunks: ByteChunks) {
    this.#chunks = chunks;
  }

  /** A snapshot says what it is; a stream of maps does not. */
  get isOwn(): true | null {
    return this.#isSnapshot ? true : null;
  }

  async *batches(): AsyncGenerator<RawItem[]> {
    const parser = new MsgpackParser(VALUE_BYTES_MAX);
    for await (const chunk of this.#chunks) {
      parser.push(chunk);
      yield* this.#items(parser, () => parser.next());
    }
    yield* this.#items(parser, () => parser.last());
  }

  /** What has been read is handed on before an error ends the file. */
  *#items(parser: MsgpackParser, next: () => Json | undefined): Generator<RawItem[]> {
    let items: RawItem[] = [];
    let failure: unknown;
    try {
      for (let value = next(); value !== undefined; value = next()) {
        if (this.#records === 0 && !this.#isSnapshot && isSnapshotHeader(value)) {
          this.#isSnapshot = true;
          parser.keepsBytes = true;
        } else if (this.#isSnapshot) {
          for (const records of recordsOfBatch(value, this.#records)) {
            this.#records += records.length;
            yield records;
          }
        } else items.push(this.#item(value, parser.hasRenamed));
      }
    } catch (error) {
      failure = error;
    }
    if (items.length > 0) yield items;
    items = [];
    if (failure === undefined) return;
    if (!(failure instanceof RangeError)) throw failure;
    const message = `cannot be read as MessagePack behind record ${this.#records}: ${failure.message}`;
    throw new ImportError('ERR_FILE_CORRUPT', message, { records: this.#records }, { cause: failure });
  }

  #item(value: Json, hasRenamed: boolean): RawItem {
    const line = ++this.#records;
    if (beginsUnknownRecord(value)) {
      const feature = 'records of msgpackr whose keys are kept elsewhere (write it without structures)';
      throw new ImportError('ERR_UNSUPPORTED_FORMAT', `record ${line}: ${feature} cannot be read`, {
        feature,
        records: line - 1,
      });
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { line, record: null, error: 'the value is not a map' };
    }
    const isRenamed = hasRenamed && isOwnMap(value);
    return recordItem(line, isRenamed ? (renamedBack(value) as typeof value) : value);
  }
}

/** Whether it is the number of a record without its keys: behind it stand values that would be taken for others. */
function beginsUnknownRecord(value: Json): boolean {
  return typeof value === 'number' && value >= 0x40 && value < 0x80;
}

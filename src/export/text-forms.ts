/** Forms: what the kernel of text follows to write rows of one binding, flags and shape. */
import { FLAG_METADATA_TOKENS } from '../../assembly/layout.js';
import {
  CELL_BEFORE_BYTES_OFFSET,
  CELL_BEFORE_OFFSET,
  CELL_BYTES,
  CELL_END,
  CELL_KIND_OFFSET,
  CELL_NULL_BYTES_OFFSET,
  CELL_NULL_OFFSET,
  CELL_SKIP_OFFSET,
  CELL_SLOT_OFFSET,
  CELL_STORED_NUMBER,
  CELL_TEXT_BYTES_OFFSET,
  CELL_TEXT_OFFSET,
  CELL_VALUE_BYTES_MAX,
  FORM_CELLS_OFFSET,
  FORM_FLAGS_OFFSET,
  FORM_GROWTH_OFFSET,
  FORM_ROW_BYTES_OFFSET,
  FORM_SHAPE_OFFSET,
  SHAPE_BYTES_OFFSET,
  SHAPE_LENGTH_OFFSET,
  SHAPE_PART_BYTES,
  SHAPE_SLOT_OFFSET,
  STORED_GROWTH,
  TEXT_SLACK_BYTES,
} from '../../assembly/text-layout.js';
import type { TextKernels } from '../kernels/text.js';
import type { EventRow } from '../schema/event.js';
import { Marks } from './marks.js';
import type { StoredShape } from './stored-shape.js';
import {
  type Cell,
  COMPLETION_TOKENS,
  type Part,
  PROMPT_TOKENS,
  type TextFormat,
  TOTAL_TOKENS,
} from './text-format.js';

/** Lays forms down in the kernels' memory, where they stay. */
export class TextForms {
  /** What stands for values in the events that forms with a shape are made of. */
  readonly marks = new Marks();
  readonly #format: TextFormat;
  readonly #kernels: TextKernels;
  readonly #rowBytesMax: number;

  /** @param rowBytesMax - rows that may take more have no form */
  constructor(format: TextFormat, kernels: TextKernels, rowBytesMax: number) {
    this.#format = format;
    this.#kernels = kernels;
    this.#rowBytesMax = rowBytesMax;
  }

  /**
   * @param event - one of the form's; where it has SHAPE_FLAGS, with marks for values
   * @returns the form's address; 0 where there can be none
   */
  make(event: EventRow, flags: number, shape: StoredShape | undefined): number {
    const kernels = this.#kernels;
    const cells: { readonly before: Buffer; readonly cell: Cell }[] = [];
    const made = this.#format.form(event);
    const parts = flags === 0 ? made : this.#unmarked(made, flags);
    if (parts === undefined) return 0;
    let text = '';
    for (const part of [...parts, { kind: CELL_END }]) {
      if (typeof part === 'string') {
        text += part;
        continue;
      }
      cells.push({ before: Buffer.from(text), cell: part });
      text = '';
    }
    const textBytes = cells.reduce((sum, { before }) => sum + before.length, 0);
    const rowBytes = textBytes + cells.length * CELL_VALUE_BYTES_MAX + TEXT_SLACK_BYTES;
    const texts = FORM_CELLS_OFFSET + cells.length * CELL_BYTES;
    const bytes = texts + textBytes + TEXT_SLACK_BYTES;
    const shapeBytes = (shape?.parts ?? []).reduce(
      (sum, part) => sum + SHAPE_PART_BYTES + part.bytes.length,
      0,
    );
    if (rowBytes > this.#rowBytesMax || bytes + shapeBytes + 4 * TEXT_SLACK_BYTES > kernels.room) return 0;
    const form = kernels.allocate(bytes);
    const view = new DataView(kernels.u32.buffer, form, bytes);
    const absent = Buffer.from(this.#format.absent);
    view.setUint32(FORM_ROW_BYTES_OFFSET, rowBytes, true);
    view.setUint32(FORM_FLAGS_OFFSET, flags, true);
    if (shape !== undefined) view.setUint32(FORM_SHAPE_OFFSET, this.#putShape(shape), true);
    view.setUint32(FORM_GROWTH_OFFSET, STORED_GROWTH * mostOften(cells.map(({ cell }) => cell.slot)), true);
    let at = form + texts;
    cells.forEach(({ before, cell }, index) => {
      const place = FORM_CELLS_OFFSET + index * CELL_BYTES;
      kernels.bytes.set(before, at);
      view.setUint32(place + CELL_KIND_OFFSET, cell.kind, true);
      view.setUint32(place + CELL_BEFORE_OFFSET, at, true);
      view.setUint32(place + CELL_BEFORE_BYTES_OFFSET, before.length, true);
      view.setUint32(place + CELL_NULL_BYTES_OFFSET, absent.length, true);
      kernels.bytes.set(absent, form + place + CELL_NULL_OFFSET);
      const short = Buffer.from(cell.text ?? '');
      kernels.bytes.set(short, form + place + CELL_TEXT_OFFSET);
      view.setUint32(place + CELL_TEXT_BYTES_OFFSET, short.length, true);
      view.setUint32(place + CELL_SKIP_OFFSET, (cell.skip ?? 0) * CELL_BYTES, true);
      view.setUint32(place + CELL_SLOT_OFFSET, cell.slot ?? 0, true);
      at += before.length;
    });
    return form;
  }

  /** @returns the shape's address */
  #putShape({ parts }: StoredShape): number {
    const kernels = this.#kernels;
    const texts = parts.length * SHAPE_PART_BYTES;
    const textBytes = parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const address = kernels.allocate(texts + textBytes + TEXT_SLACK_BYTES);
    const view = new DataView(kernels.u32.buffer, address, texts);
    let at = address + texts;
    parts.forEach(({ bytes, slot }, index) => {
      const place = index * SHAPE_PART_BYTES;
      kernels.bytes.set(bytes, at);
      view.setUint32(place + SHAPE_BYTES_OFFSET, at, true);
      view.setUint32(place + SHAPE_LENGTH_OFFSET, bytes.length, true);
      view.setUint32(place + SHAPE_SLOT_OFFSET, slot, true);
      at += bytes.length;
    });
    return address;
  }

  /** Puts cells in the places of marks. @returns undefined where a mark has become part of something else */
  #unmarked(parts: readonly Part[], flags: number): Part[] | undefined {
    const { text, number, counts } = this.marks.pattern;
    const { quote, storedText } = this.#format;
    const mark = `${quote ?? ''}${text}${quote ?? ''}|${number}|(?<![\\d.])${counts}(?![\\d.])`;
    const pattern = new RegExp(quote === undefined ? `^(?:${mark})$` : mark, 'g');
    const found: Part[] = [];
    for (const part of parts) {
      if (typeof part !== 'string') {
        found.push(part);
        continue;
      }
      let from = 0;
      for (const { index, 0: all, 1: textSlot, 2: numberSlot, 3: count } of part.matchAll(pattern)) {
        if (count !== undefined && (flags & FLAG_METADATA_TOKENS) === 0) continue;
        found.push(part.slice(from, index));
        if (textSlot !== undefined) found.push({ kind: storedText, slot: Number(textSlot) });
        else if (numberSlot !== undefined) found.push({ kind: CELL_STORED_NUMBER, slot: Number(numberSlot) });
        else found.push(this.#countCell(Number(count)));
        from = index + all.length;
      }
      found.push(part.slice(from));
    }
    return found.some((part) => typeof part === 'string' && this.marks.isIn(part)) ? undefined : found;
  }

  #countCell(mark: number): Cell {
    if (mark === this.marks.prompt) return PROMPT_TOKENS;
    return mark === this.marks.completion ? COMPLETION_TOKENS : TOTAL_TOKENS;
  }
}

/** How often the most frequent of them is there. */
function mostOften(slots: readonly (number | undefined)[]): number {
  const counts = new Map<number, number>();
  for (const slot of slots) if (slot !== undefined) counts.set(slot, (counts.get(slot) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

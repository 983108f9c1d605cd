/**
 * Layers see the same call: a framework, the transport under it, spans around both. One of them counts it.
 *
 * Where a layer runs what is under it, the call is in the async context, and the transport joins it: its attempts and
 * answers are that call's. Where a layer only hears of calls, it looks here, once a call is over, for what another has
 * counted: under the id of the response, or, where one of them knows none, of the same model in the same time.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { systemClock } from '../clock.js';
import type { ModelCall } from './model-call.js';

export type Layer = 'fetch' | 'http' | 'ai-sdk' | 'langchain' | 'otel';

/** The call that running code is part of. */
export const activeCall = new AsyncLocalStorage<ModelCall | undefined>();

/** What tells calls apart. Times are in µs since the Unix epoch; a start that is not known is -Infinity. */
export interface CallTraits {
  readonly responseId: string | null;
  /** Names that the model is known by: as it was asked for, and as it answered. */
  readonly model: string | null;
  readonly responseModel: string | null;
  readonly startUs: number;
  readonly endUs: number;
}

interface Counted {
  readonly call: CallTraits;
  /** Other layers that have seen it. */
  seenBy: readonly Layer[];
  readonly countedUs: number;
}

/** Calls of a layer that are remembered; layers tell of a call within moments of each other. */
const COUNTED_MAX = 512;
/** Clocks of layers differ by so much. */
const TOLERANCE_US = 5000;
const NOBODY: readonly Layer[] = [];

/** By the layer that has counted them, each by age. A layer's own calls are never the same: it looks at the others'. */
const counted = new Map<Layer, Counted[]>();

/**
 * Whether the call is the layer's to count. If not, another one has done so, and this one is not to.
 */
export function claim(layer: Layer, call: CallTraits): boolean {
  for (const [other, calls] of counted) {
    if (other !== layer && isCountedAmong(calls, layer, call)) return false;
  }
  let own = counted.get(layer);
  if (own === undefined) {
    own = [];
    counted.set(layer, own);
  }
  own.push({ call, seenBy: NOBODY, countedUs: systemClock.nowUs() });
  if (own.length > COUNTED_MAX) own.splice(0, COUNTED_MAX / 2);
  return true;
}

/** @param calls - those of another layer */
function isCountedAmong(calls: readonly Counted[], layer: Layer, call: CallTraits): boolean {
  for (let i = calls.length - 1; i >= 0; i--) {
    const known = calls[i];
    // What was counted before this one began is another call, and so are all before it.
    if (known.countedUs < call.startUs - TOLERANCE_US) return false;
    if (known.seenBy.includes(layer) || !isSame(known.call, call)) continue;
    known.seenBy = [...known.seenBy, layer];
    return true;
  }
  return false;
}

function isSame(known: CallTraits, call: CallTraits): boolean {
  if (!isWithin(call.startUs, call.endUs, known) && !isWithin(known.startUs, known.endUs, call)) return false;
  if (known.responseId !== null && call.responseId !== null) return known.responseId === call.responseId;
  // Which of several is meant is not known where their starts are not.
  if (!Number.isFinite(known.startUs) || !Number.isFinite(call.startUs)) return false;
  return isNamed(known.model, call) || isNamed(known.responseModel, call);
}

function isNamed(model: string | null, call: CallTraits): boolean {
  return model !== null && (model === call.model || model === call.responseModel);
}

/** Whether a stretch of time lies in the other's. */
function isWithin(startUs: number, endUs: number, outer: CallTraits): boolean {
  return startUs >= outer.startUs - TOLERANCE_US && endUs <= outer.endUs + TOLERANCE_US;
}

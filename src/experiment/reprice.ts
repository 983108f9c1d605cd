/** Costs computed again, by another price table, from the events as they are. */
import { emptyEnriched, enrich, kindOfEvent, newKnownParts, UNPRICED } from '../schema/enrich.js';
import type { EventRow, Json } from '../schema/event.js';
import { checkPrices, PriceBook, type PriceTable } from '../schema/prices.js';
import { spellingOf } from '../schema/spellings.js';
import type { Experiment } from './experiment.js';

export interface RepriceReport {
  /** Of the table. */
  readonly version: string;
  /** The column that has the new costs, beside `costUsd` with the old ones. */
  readonly column: string;
  /** Events with tokens of a model. */
  readonly events: number;
  readonly priced: number;
  /** USD, over the events that were priced: by the new table; and what they had until now, where they had something. */
  readonly totalUsd: number;
  readonly beforeUsd: number;
  /** Events whose cost was reported by their emitter. */
  readonly reported: number;
  /** Events without a new cost, by model and reason. */
  readonly unpriced: readonly { readonly model: string; readonly reason: string; readonly events: number }[];
}

/** Costs that are written at a time. */
const BATCH = 1000;

/** @see Experiment.reprice */
export async function reprice(experiment: Experiment, prices: PriceTable): Promise<RepriceReport> {
  const table = checkPrices(prices);
  const book = new PriceBook(table);
  const name = `costUsd.${table.version}`;
  const unpriced = new Map<string, { model: string; reason: string; events: number }>();
  const found = { events: 0, priced: 0, totalUsd: 0, beforeUsd: 0, reported: 0 };
  let costs: Parameters<Experiment['score']>[] = [];
  const write = () => {
    experiment.scoreAll(costs);
    costs = [];
  };
  for await (const event of experiment.events()) {
    const { model, tokens, costUsd, costSource, eventId } = event;
    if (model === null || tokens === null) continue;
    found.events++;
    if (costSource === 'event') found.reported++;
    const { usd, reason } = costBy(book, event, model);
    if (usd === null) {
      const key = JSON.stringify([model, reason]);
      const known = unpriced.get(key) ?? { model, reason, events: 0 };
      known.events++;
      unpriced.set(key, known);
      continue;
    }
    found.priced++;
    found.totalUsd += usd;
    found.beforeUsd += costUsd ?? 0;
    costs.push([{ eventId }, name, usd]);
    if (costs.length === BATCH) write();
  }
  write();
  const most = [...unpriced.values()].sort((a, b) => b.events - a.events);
  return { version: table.version, column: `score.${name}`, ...found, unpriced: most };
}

function costBy(book: PriceBook, event: EventRow, model: string): { usd: number | null; reason: string } {
  const { eventName, timestamp, tokens } = event;
  const enriched = emptyEnriched();
  enriched.timestampUs = timestamp;
  const kind = kindOfEvent(eventName);
  enrich(enriched, kind, newKnownParts(), {}, { ...withoutCosts(event.metadata), model }, book);
  // Of a recorder's events all that is known of tokens is in their columns.
  if (enriched.prompt < 0) enrich(enriched, kind, null, {}, { model, tokens }, book);
  const { costUsd, unpriced } = enriched;
  return { usd: Number.isNaN(costUsd) ? null : costUsd, reason: UNPRICED[unpriced] ?? 'unpriced:tokens' };
}

/** Metadata without what their emitter has said of the cost. */
function withoutCosts(metadata: Readonly<Record<string, Json>>): Record<string, Json> {
  const rest: Record<string, Json> = {};
  for (const [key, value] of Object.entries(metadata)) {
    const rule = spellingOf('metadata', key)?.rule;
    if (rule?.quantity === 'costUsd') continue;
    const isUsage =
      rule?.quantity === 'tokens' && typeof value === 'object' && value !== null && !Array.isArray(value);
    rest[key] = isUsage ? withoutCost(value) : value;
  }
  return rest;
}

function withoutCost({ cost: _cost, ...usage }: Record<string, Json>): Json {
  return usage;
}

/** What an export reads of an experiment. */
import type { Experiment } from '../../src/experiment/experiment.js';
import { compileFilter } from '../../src/readers/filter.js';
import { orderedEvents } from '../../src/readers/ordered.js';
import { openView, type View } from '../../src/readers/source.js';
import type { EventRow, Filter } from '../../src/schema/event.js';

/** The rows that pass as of now. */
export function viewOfExperiment(experiment: Experiment, filter?: Filter): View {
  const { readable, selection } = experiment.selected(filter);
  return openView(readable.store, compileFilter(filter, readable.store.source), selection.limit);
}

/** The same as events, as often as they are asked for. */
export function eventSourceOf(experiment: Experiment, filter?: Filter): () => AsyncGenerator<EventRow> {
  const view = viewOfExperiment(experiment, filter);
  return () => orderedEvents(view);
}

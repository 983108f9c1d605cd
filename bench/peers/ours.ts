/** This library: the recorders, with and without a clock, and `capture`. */
import type { Crucible } from '../../src/index.js';
import {
  CALLS,
  completions,
  costs,
  LABELS,
  labels,
  latencies,
  type Peer,
  prompts,
  successes,
} from './calls.js';

const CAPACITY = 1 << 16;

function experimentOf(crucible: Crucible, name: string) {
  return crucible.startExperiment({ name, capacity: CAPACITY, prefault: true });
}

function recordersOf(crucible: Crucible, name: string) {
  const experiment = experimentOf(crucible, name);
  return {
    experiment,
    recorders: labels.map(({ event, model, provider }) => experiment.recorder(event, { model, provider })),
  };
}

export function recordAt(crucible: Crucible, operations: number): Peer {
  const { experiment, recorders } = recordersOf(crucible, 'recordAt');
  return {
    keeps: 'every event, sketches',
    candidate: {
      name: 'recordAt',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          const c = i & (CALLS - 1);
          recorders[i & (LABELS - 1)].recordAt(
            1.7e15 + i,
            latencies[c],
            costs[c],
            prompts[c],
            completions[c],
            successes[c],
          );
        }
        return experiment.counts.captured;
      },
    },
  };
}

export function record(crucible: Crucible, operations: number): Peer {
  const { experiment, recorders } = recordersOf(crucible, 'record');
  return {
    keeps: 'every event, sketches; reads the clock',
    candidate: {
      name: 'record',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          const c = i & (CALLS - 1);
          recorders[i & (LABELS - 1)].record(
            latencies[c],
            costs[c],
            prompts[c],
            completions[c],
            successes[c],
          );
        }
        return experiment.counts.captured;
      },
    },
  };
}

export function capture(crucible: Crucible, operations: number): Peer {
  const experiment = experimentOf(crucible, 'capture');
  return {
    keeps: 'every event with any metadata, sketches; reads the clock',
    candidate: {
      name: 'capture()',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          const c = i & (CALLS - 1);
          const { event, model, provider } = labels[i & (LABELS - 1)];
          experiment.capture(
            event,
            { latencyMs: latencies[c], cost: costs[c] },
            {
              model,
              provider,
              status: successes[c] ? 'ok' : 'error',
              tokens: { prompt: prompts[c], completion: completions[c] },
            },
          );
        }
        return experiment.counts.captured;
      },
    },
  };
}

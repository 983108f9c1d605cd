/** How the page is told of this process's experiments. */
import { StateError } from '../errors.js';
import type { Descriptor, ProcessExperiment, StudyTold } from '../serve/protocol.js';
import type { Study } from '../study/study.js';
import { VERSION } from '../version.js';
import type { Experiment } from './experiment.js';

/**
 * @param known - whether how it is read was told before
 * @returns null when its memory has been let go
 */
export function servedExperiment(experiment: Experiment, known: boolean): ProcessExperiment | null {
  try {
    const descriptor = descriptorOf(experiment);
    return known ? { descriptor } : { descriptor, access: experiment.selected().readable.access };
  } catch (error) {
    if (error instanceof StateError) return null;
    throw error;
  }
}

function descriptorOf(experiment: Experiment): Descriptor {
  const { id, name, condition, hypothesis, tags, metadata, status, sampleSize, counts, storage } = experiment;
  const { startedAt, stoppedAt, pausedAt, pausedUs } = experiment;
  const { captured, retained, dropped, damaged, malformed, cut } = counts;
  const { columns = [] } = experiment.about();
  return {
    id,
    name,
    condition,
    hypothesis,
    tags,
    metadata,
    status,
    startedAt,
    stoppedAt,
    pausedAt,
    pausedUs,
    sampleSize,
    source: 'process',
    folder: storage?.folder ?? null,
    heldBy: null,
    counts: {
      captured,
      retained,
      dropped,
      damaged,
      malformed,
      cut,
      durable: storage?.durable ?? null,
      bytes: null,
    },
    declared: columns,
    libraryVersion: VERSION,
    error: storage?.error == null ? null : { code: storage.error.code, message: storage.error.message },
  };
}

export function servedStudy(study: Study<Experiment>): StudyTold {
  const { name, plan, planHash, folder } = study;
  const { plannedAt } = study.book;
  return {
    name,
    plan,
    planHash,
    folder,
    plannedAt,
    contributions: study.contributions(),
    looks: study.looks(),
  };
}

import type { SampleJob } from './sample-jobs.ts';

/**
 * Jobs that read about `most` of `count` samples, spread over all of them: neighbours are often
 * alike. Where nobody knows how many there are, the job itself: its reader stops in time.
 */
export function spread(job: SampleJob, count: number | null, most: number): readonly SampleJob[] {
  if (count === null || count <= most || 'command' in job.origin) return [job];
  const first = job.from ?? 0;
  return Array.from({ length: most }, (_, index) => {
    const from = first + Math.floor((index * count) / most);
    return { ...job, from, to: from + 1 };
  });
}

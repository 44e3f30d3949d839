import { jobPhases } from '../../../contracts/job-names.ts';
import type { JobRecord } from '../../../contracts/job.ts';
import { linkTo } from '../state/router.ts';
import { Ago } from '../ui/ago.tsx';
import { Empty } from '../ui/empty.tsx';
import { formatSpan, toMs } from '../ui/format.ts';
import { StateBadge } from '../ui/state-badge.tsx';

function rank(phase: string): number {
  const at = jobPhases.findIndex((each) => each === phase);
  return at === -1 ? jobPhases.length : at;
}

/** Phases in the order of a deployment; those that are newer than this page come last. */
function phasesOf(job: JobRecord): (readonly [phase: string, ms: number])[] {
  return Object.entries(job.phases).toSorted(([left], [right]) => rank(left) - rank(right));
}

const words = (phase: string) => phase.replaceAll('_', ' ');

/** How long a job was in each phase, as parts of one bar. */
function PhaseBar({ job }: { readonly job: JobRecord }) {
  const phases = phasesOf(job);
  const total = phases.reduce((sum, [, ms]) => sum + ms, 0);
  const text = phases.map(([phase, ms]) => `${words(phase)} ${formatSpan(ms)}`).join(', ');
  return (
    <div class="phases">
      <div class="phase-bar" role="img" aria-label={`${formatSpan(total)}: ${text}`}>
        {phases.map(([phase, ms]) => (
          <span
            key={phase}
            class={`phase ${phase}`}
            style={{ flexGrow: String(Math.max(ms, total / 200)) }}
            title={`${words(phase)} ${formatSpan(ms)}`}
          />
        ))}
      </div>
      <p class="phase-words">
        {phases.map(([phase, ms]) => (
          <span key={phase}>
            <span class={`swatch phase ${phase}`} aria-hidden="true" />
            {words(phase)} <span class="figure">{formatSpan(ms)}</span>
          </span>
        ))}
      </p>
    </div>
  );
}

function Progress({ job }: { readonly job: JobRecord }) {
  if (job.status !== 'IN_PROGRESS' || job.progress === null || job.progress.of <= 0) return null;
  return <progress max={job.progress.of} value={job.progress.done} aria-label="Progress" />;
}

function JobLine({ job }: { readonly job: JobRecord }) {
  const outcome = job.outcome === null ? null : words(job.outcome);
  return (
    <li class="job">
      <div class="job-head">
        <strong>{job.jobType}</strong>
        <StateBadge kind={job.status} />
        <span class="muted">{job.status === 'IN_PROGRESS' ? words(job.phase) : outcome}</span>
        <Progress job={job} />
        <span class="job-when muted">
          <Ago ms={toMs(job.ts)} />
        </span>
      </div>
      <p class="job-ids">
        <span class="mono">{job.jobId}</span>
        {job.rolloutId !== null && (
          <>
            {' '}
            of rollout{' '}
            <a class="mono" href={linkTo(['rollouts', job.rolloutId])}>
              {job.rolloutId}
            </a>
          </>
        )}
        {job.attempt > 1 && `, attempt ${job.attempt}`}
      </p>
      {job.reason !== null && (
        <p class="job-reason">
          {job.reason.text} <span class="mono muted">({job.reason.code})</span>
        </p>
      )}
      {Object.keys(job.phases).length > 0 && <PhaseBar job={job} />}
      {job.result !== null && (
        <details>
          <summary>Result</summary>
          <pre tabIndex={0}>{JSON.stringify(job.result, null, 2)}</pre>
        </details>
      )}
    </li>
  );
}

/** What the device was told to do, and where the time went. */
export function Jobs({ jobs }: { readonly jobs: readonly JobRecord[] }) {
  return (
    <section class="card jobs" aria-labelledby="jobs-title">
      <h2 id="jobs-title">Jobs</h2>
      {jobs.length === 0 ? (
        <Empty title="No job has come to this device yet">
          A rollout or one of the buttons above sends one.
        </Empty>
      ) : (
        <ul class="job-list">
          {jobs.map((job) => (
            <JobLine key={job.jobId} job={job} />
          ))}
        </ul>
      )}
    </section>
  );
}

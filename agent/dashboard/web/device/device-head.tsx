import { useState } from 'preact/hooks';
import type { DeviceAction, DeviceRow } from '../../../contracts/dashboard.ts';
import type { Twin } from '../../../contracts/fleet-twin.ts';
import { actOnDevice } from '../api/client.ts';
import { isAway } from '../state/presence.ts';
import { session, whyNot } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { ActionButton } from '../ui/action-button.tsx';
import { Ago } from '../ui/ago.tsx';
import { Confirm } from '../ui/confirm.tsx';
import { formatCelsius, formatMs, formatShare, UNKNOWN } from '../ui/format.ts';
import { notify } from '../ui/notices.tsx';
import { StateBadge } from '../ui/state-badge.tsx';

interface HeadProps {
  readonly row: DeviceRow;
  /** It has left the fleet since the page was opened: the row is the last that was known. */
  readonly isGone: boolean;
  readonly twin: Twin | null;
}

interface ActionText {
  readonly action: DeviceAction;
  readonly name: string;
  readonly title: string;
  readonly text: string;
  readonly needsModel: boolean;
  readonly danger?: boolean;
}

const ACTIONS: readonly ActionText[] = [
  {
    action: 'bench',
    name: 'Bench',
    title: 'Measure the model again?',
    text: 'The device measures the model it runs in every precision worth trying. What it runs does not change, but for some minutes it is slower.',
    needsModel: true,
  },
  {
    action: 'collect',
    name: 'Diagnostics',
    title: 'Collect diagnostics?',
    text: 'The device sends its facts, its state and the last lines of its log as the result of a job.',
    needsModel: false,
  },
  {
    action: 'selfcheck',
    name: 'Self-check',
    title: 'Run the checks of the device?',
    text: 'The device runs what agent doctor runs, and sends what it found as the result of a job.',
    needsModel: false,
  },
  {
    action: 'rollback',
    name: 'Roll back',
    title: 'Go back to the version before?',
    text: 'The device goes back to the version that it ran before this one, and stays on it until something newer is rolled out.',
    needsModel: true,
    danger: true,
  },
];

function whyNotHere(row: DeviceRow, { needsModel }: ActionText): string | null {
  return needsModel && row.model === null ? 'No model is installed on this device' : null;
}

function Actions({ row }: { readonly row: DeviceRow }) {
  const info = useStore(session);
  const [asked, setAsked] = useState<ActionText | null>(null);
  const refused = whyNot(info);
  const act = async ({ action, name, needsModel }: ActionText) => {
    const model = needsModel ? row.model?.name : undefined;
    const { jobId } = await actOnDevice(row.deviceId, action, model);
    notify('done', `${name}: job ${jobId} was sent to ${row.deviceId}`);
  };
  return (
    <div class="actions" role="group" aria-label="Actions">
      {ACTIONS.map((action) => (
        <ActionButton
          key={action.action}
          name={action.name}
          title={action.title}
          danger={action.danger}
          refused={refused ?? whyNotHere(row, action)}
          onAsk={() => setAsked(action)}
        />
      ))}
      {asked !== null && (
        <Confirm
          title={asked.title}
          verb={asked.name}
          danger={asked.danger === true}
          act={() => act(asked)}
          onClose={() => setAsked(null)}
        >
          <p>{asked.text}</p>
          <p>
            Device <strong class="mono">{row.deviceId}</strong>
            {asked.needsModel && row.model !== null && (
              <>
                , model{' '}
                <strong>
                  {row.model.name} {row.model.version}
                </strong>
              </>
            )}
            {row.state !== 'online' && '. It is not online: it takes the job when it is back.'}
          </p>
        </Confirm>
      )}
      {refused !== null && <p class="muted small">{refused}.</p>}
    </div>
  );
}

/** The figures of a device that are looked at first. */
function Figures({ row }: { readonly row: DeviceRow }) {
  const { model, accuracy } = row;
  const figures = [
    ['Class', row.class ?? UNKNOWN],
    ['Model', model === null ? 'none' : `${model.name} ${model.version}`],
    ['Precision', model?.precision ?? UNKNOWN],
    ['p90', row.p90Ms === null ? UNKNOWN : `${formatMs(row.p90Ms)} ms`],
    [accuracy?.metric ?? 'Accuracy', formatShare(accuracy?.value)],
    [isAway(row) ? 'Last temperature' : 'Temperature', formatCelsius(row.celsius)],
  ] as const;
  return (
    <dl class="figures">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd title={value}>{value}</dd>
        </div>
      ))}
      <div>
        <dt>Last seen</dt>
        <dd>
          <Ago ms={row.lastSeenMs} />
        </dd>
      </div>
    </dl>
  );
}

export function DeviceHead({ row, twin, isGone }: HeadProps) {
  const refused = twin?.settings.refused ?? null;
  return (
    <header class="device-head">
      <div class="device-title">
        <h1 class="mono" title={row.deviceId}>
          {row.deviceId}
        </h1>
        {!isGone && <StateBadge kind={row.state} />}
        {row.throttled === true && !isAway(row) && <StateBadge kind="throttled" />}
        {row.cloned && <StateBadge kind="cloned" text="two machines use this id" />}
        {!isGone && <Actions row={row} />}
      </div>
      <Figures row={row} />
      {refused !== null && (
        <p class="note bad">
          Settings were refused: {refused.text} <span class="mono">({refused.code})</span>
        </p>
      )}
    </header>
  );
}

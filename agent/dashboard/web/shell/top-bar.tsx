import type { SessionInfo } from '../../../contracts/dashboard.ts';
import { messageOf } from '../../../util/errors.ts';
import { logOut } from '../api/client.ts';
import { link } from '../api/events.ts';
import { broker } from '../state/fleet.ts';
import { linkTo, place } from '../state/router.ts';
import { useStore } from '../state/store.ts';
import { notify } from '../ui/notices.tsx';
import { useLeader } from './banner.tsx';
import { ThemeSwitch } from './theme-switch.tsx';

const SECTIONS = [
  { path: 'fleet', name: 'Fleet', also: ['devices'] },
  { path: 'rollouts', name: 'Rollouts', also: ['new-rollout'] },
  { path: 'compare', name: 'Compare', also: [] as string[] },
] as const;

function Nav() {
  const [section = 'fleet'] = useStore(place).path;
  return (
    <nav aria-label="Pages">
      {SECTIONS.map(({ path, name, also }) => (
        <a
          key={path}
          href={linkTo([path])}
          aria-current={
            section === path ? 'page' : also.some((each) => each === section) ? 'true' : undefined
          }
        >
          {name}
        </a>
      ))}
    </nav>
  );
}

function Connection() {
  const state = useStore(link);
  const mqtt = useStore(broker);
  const leader = useLeader();
  const up = state === 'open' && mqtt?.connected === true;
  const waiting = state === 'opening' || (state === 'open' && mqtt === null);
  const text = up ? 'Live' : waiting ? 'Connecting' : state === 'open' ? 'Broker lost' : 'Offline';
  const control = leader === null ? 'no controller' : leader;
  return (
    <span class="connection" title={`broker ${mqtt?.url ?? ''}; controller: ${control}`}>
      <span class={`dot ${up ? 'online' : waiting ? 'draining' : 'offline'}`} aria-hidden="true" />
      {text}
      <span class="controller">
        {leader === null ? 'no controller' : <span class="mono">{leader}</span>}
      </span>
    </span>
  );
}

async function leave(): Promise<void> {
  try {
    await logOut();
  } catch (error) {
    notify('problem', messageOf(error));
  }
}

export function TopBar({ info }: { readonly info: SessionInfo }) {
  return (
    <header class="top-bar">
      <a class="brand" href={linkTo(['fleet'])} title={`edgefit ${info.version}`}>
        <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
          <path d="M2 3h12M2 8h8M2 13h4" stroke="currentColor" stroke-width="2.5" fill="none" />
        </svg>
        edgefit
      </a>
      <Nav />
      <Connection />
      <ThemeSwitch />
      <span class="user">
        <span class="user-name" title={`${info.user}, ${info.role}`}>
          {info.user}
        </span>
        <span class="role">{info.role}</span>
        {info.login === 'password' && (
          <button type="button" class="button quiet" onClick={() => void leave()}>
            Log out
          </button>
        )}
      </span>
    </header>
  );
}

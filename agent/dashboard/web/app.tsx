import { useEffect } from 'preact/hooks';
import { Banner } from './shell/banner.tsx';
import { LoginPage } from './shell/login-page.tsx';
import { Pages } from './shell/pages.tsx';
import { TopBar } from './shell/top-bar.tsx';
import { followFleet, link } from './api/events.ts';
import { session } from './state/session.ts';
import { useStore } from './state/store.ts';
import { Notices } from './ui/notices.tsx';

/** The whole page: the login, or the bar with one of the pages below it. */
export function App() {
  const info = useStore(session);
  const user = info?.user;
  useEffect(() => {
    if (user === undefined) return undefined;
    const stream = followFleet();
    return () => {
      stream.close();
      link.set('opening');
    };
  }, [user]);
  if (info === undefined) {
    return (
      <main class="waiting" aria-busy="true">
        <Banner />
      </main>
    );
  }
  if (info === null) return <LoginPage />;
  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to the content
      </a>
      <TopBar info={info} />
      <Banner />
      <main id="main" tabIndex={-1}>
        <Pages />
      </main>
      <Notices />
    </>
  );
}

/** The fragment is the address of a page here, so the jump is made by hand. */
function skipToMain(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('#main')?.focus();
}

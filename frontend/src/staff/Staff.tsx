import "@mantine/core/styles.layer.css";
import "@mantine/charts/styles.layer.css";
import "@mantine/dates/styles.layer.css";
import "./layout/contrast.css";
import { Alert, Button, Center, Loader, Stack } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import i18next from "i18next";
import { useCallback, useEffect, useState } from "react";
import { Route, Routes, useLocation, useNavigate } from "react-router";
import { type Config, configQuery } from "../config";
import { Loaded } from "../layout/Loaded";
import { Nothing } from "../layout/Nothing";
import { Frame } from "./Frame";
import { PLACES } from "./places";
import { SignedOut } from "./SignedOut";
import { HandOver, SignInAgain } from "./SignInAgain";
import { AGAIN, isOver, kept, type Session, SIGNED_OUT, signedIn, signIn, signOut, use } from "./session";
import { SessionContext } from "./who";

/** The dashboard, with its code and styles: loaded by those who open /staff. */
export function Component() {
  useEnglish();
  const config = useQuery(configQuery);
  return <Loaded query={config}>{(found) => <Entrance config={found} />}</Loaded>;
}

/** The dashboard speaks English, whatever its reader chose for the booking pages; so do its amounts and dates. */
function useEnglish(): void {
  useEffect(() => {
    const chosen = i18next.language;
    const speak = (language: string) => {
      document.documentElement.lang = language;
      i18next.changeLanguage(language);
    };
    speak("en");
    return () => speak(chosen);
  }, []);
}

function Entrance({ config }: { config: Config }) {
  const { pathname } = useLocation();
  return pathname === SIGNED_OUT ? <SignedOut config={config} /> : <Door config={config} />;
}

/** Lets in who is signed in and sends everybody else to the issuer; there and back, to the address that was asked for. */
function Door({ config }: { config: Config }) {
  const [session, setSession] = useState<Session | null>(kept);
  const over = useOver(session);
  const queries = useQueryClient();
  const [refusal, setRefusal] = useState<string | null>(null);
  const { pathname, search } = useLocation();
  const navigate = useNavigate();
  const back = pathname === "/staff/signed-in";
  const [leaving, setLeaving] = useState(false);
  useNothingLeft();

  useEffect(() => {
    if (session) return;
    const entering = back
      ? signedIn(config).then((from) => {
          setSession(kept());
          navigate(from, { replace: true });
        })
      : signIn(config, pathname + search);
    entering.catch((error: Error) => setRefusal(error.message));
  }, [session, back, config, pathname, search, navigate]);

  const takeOver = useCallback(
    (next: Session) => {
      use(next);
      setSession(next);
      queries.invalidateQueries();
    },
    [queries],
  );

  if (refusal) return <Refused sentence={refusal} again={() => window.location.assign("/staff")} />;
  if (leaving) return <Busy label="Signing out" />;
  if (!session || back) return <Busy label="Signing in" />;
  if (pathname === AGAIN) return <HandOver session={session} />;
  use(session);
  return (
    <SessionContext value={session}>
      <Frame
        onSignOut={() => {
          setLeaving(true);
          signOut(config, session);
        }}
      >
        <Routes>
          {PLACES.map(({ path, Page }) => (
            <Route key={path} path={path} element={<Page />} />
          ))}
          <Route path="*" element={<Nothing />} />
        </Routes>
      </Frame>
      {over && <SignInAgain who={session} onSession={takeOver} />}
    </SessionContext>
  );
}

/** Whether a session has ended. Looked at by the clock: a timer stands still while a laptop sleeps. */
function useOver(session: Session | null): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    if (!session) return;
    const look = () => setOver(isOver(session));
    look();
    const looking = setInterval(look, 1_000);
    return () => clearInterval(looking);
  }, [session]);
  return over;
}

/** A page that the browser kept in memory comes back as it was left, with all that it knew: without a session it begins anew. */
function useNothingLeft(): void {
  useEffect(() => {
    const look = ({ persisted }: PageTransitionEvent) => {
      if (persisted && !kept()) window.location.reload();
    };
    window.addEventListener("pageshow", look);
    return () => window.removeEventListener("pageshow", look);
  }, []);
}

function Busy({ label }: { label: string }) {
  return (
    <Center h="100vh">
      <Loader aria-label={label} />
    </Center>
  );
}

function Refused({ sentence, again }: { sentence: string; again: () => void }) {
  return (
    <Center h="100vh">
      <Stack maw={420}>
        <Alert color="red" title="Signing in did not work">
          {sentence}
        </Alert>
        <Button onClick={again}>Sign in</Button>
      </Stack>
    </Center>
  );
}

import { Alert, Anchor, Button, Center, Modal, Stack, Text, Title } from "@mantine/core";
import { useEffect, useState } from "react";
import { AGAIN, type Session } from "./session";

/** A session belongs to its tab. On this channel, which only this origin hears, one tab signs in for another and hears that it was taken. */
const CHANNEL = "staff-session";
type Said = Session | "taken";

type Props = { who: Session; onSession: (session: Session) => void };

/** Over a page whose session has ended: what is typed stays, and goes on once the same person has signed in, in a tab beside. */
export function SignInAgain({ who, onSession }: Props) {
  const [other, setOther] = useState<string>();
  useEffect(() => {
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }: MessageEvent<Said>) => {
      if (data === "taken") return;
      if (data.subject !== who.subject) return setOther(data.name);
      channel.postMessage("taken" satisfies Said);
      onSession(data);
    };
    return () => channel.close();
  }, [who, onSession]);
  return (
    <Modal
      opened
      onClose={() => {}}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      centered
      zIndex={300} // over any other dialog
      title="Your sign-in has ended: sign in again"
    >
      <Stack align="flex-start">
        <Text size="sm">What you have typed stays here. Signing in opens a tab beside this one.</Text>
        {other && (
          <Alert color="red" role="alert" p="xs">
            That was {other}, and this page is {who.name}'s. Sign in as {who.name}, or reload the page to go on as
            somebody else.
          </Alert>
        )}
        {/* A link, which no blocker of windows minds; with its opener, so that the tab may close itself. */}
        <Button
          component="a"
          href={AGAIN}
          target="_blank"
          rel="opener"
          data-autofocus
          data-mantine-stop-propagation // the Escape key is not for the dialog below
        >
          Sign in
        </Button>
      </Stack>
    </Modal>
  );
}

/** The tab beside: hands its session over, and closes once that was taken. */
export function HandOver({ session }: { session: Session }) {
  useEffect(() => {
    document.title = "Signed in · Boxoffice";
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }: MessageEvent<Said>) => {
      if (data === "taken") window.close();
    };
    channel.postMessage(session satisfies Said);
    return () => channel.close();
  }, [session]);
  return (
    <Center h="100vh" p="md" component="main">
      <Stack maw={420} align="flex-start">
        <Title order={1} size="h3">
          You are signed in as {session.name}
        </Title>
        <Text>Go on in the tab that you came from; this one can be closed.</Text>
        <Anchor href="/staff">Or open the dashboard here</Anchor>
      </Stack>
    </Center>
  );
}

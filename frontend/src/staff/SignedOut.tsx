import { Button, Center, Stack, Text, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useEffect } from "react";
import type { Config } from "../config";
import { Refusal } from "./layout/Refusal";
import { signIn } from "./session";

/** Where a sign-out ends. Nobody is signed in again unasked. */
export function SignedOut({ config }: { config: Config }) {
  const signing = useMutation({ mutationFn: () => signIn(config, "/staff") });
  useEffect(() => {
    document.title = "Signed out · Boxoffice";
  }, []);
  return (
    <Center h="100vh" p="md" component="main">
      <Stack maw={420} align="flex-start">
        <Title order={1} size="h3">
          You are signed out
        </Title>
        <Text>Other tabs stay signed in until their own sign-in ends, or you sign out there too.</Text>
        <Refusal error={signing.error} />
        <Button onClick={() => signing.mutate()} loading={signing.isPending}>
          Sign in
        </Button>
      </Stack>
    </Center>
  );
}

import { Button, Group, type MantineColor, Modal, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useRef, useState } from "react";
import { Refusal } from "./Refusal";

type AskProps<Answer> = {
  /** What the button says. */
  submit: string;
  color?: MantineColor | undefined;
  disabled?: boolean | undefined;
  /** `key` is the same for every try of this form, so that it is done once. `fields` are those of `children` by their names. */
  ask: (key: string, fields: FormData) => Promise<Answer>;
  /** What is shown once it is done; without it the form closes. */
  done?: ((answer: Answer) => ReactNode) | undefined;
  onClose: () => void;
  children?: ReactNode;
};

/** The form of a dialog: asks the API, says what it refuses, and has everything on the page look again afterwards, done or refused. */
export function Ask<Answer>({ submit, color, disabled, ask, done, onClose, children }: AskProps<Answer>) {
  const [key] = useState(() => crypto.randomUUID());
  const busy = useRef(false); // the second click of two comes before the first has shown that it is pending
  const queries = useQueryClient();
  const asking = useMutation({
    mutationFn: (fields: FormData) => ask(key, fields),
    onSuccess: () => {
      if (!done) onClose();
    },
    onSettled: () => {
      busy.current = false;
      return queries.invalidateQueries();
    },
  });
  if (done && asking.data !== undefined) {
    return (
      <Stack>
        <div role="status">{done(asking.data)}</div>
        <Group justify="flex-end">
          <Button data-autofocus onClick={onClose}>
            Close
          </Button>
        </Group>
      </Stack>
    );
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (busy.current) return;
        busy.current = true;
        asking.mutate(new FormData(event.currentTarget));
      }}
    >
      <Stack>
        {children}
        <Refusal error={asking.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button type="submit" color={color} loading={asking.isPending} disabled={disabled}>
            {submit}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

type ActionProps<Answer> = Omit<AskProps<Answer>, "onClose"> & { label: string; title: string; size?: string };

/** A button that does something after a dialog has said what. Each opening of it is one thing that a person asks for. */
export function Action<Answer>({ label, title, size, color, ...form }: ActionProps<Answer>) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button size="xs" variant="default" onClick={open}>
        {label}
      </Button>
      <Modal
        closeOnClickOutside={false}
        opened={opened}
        onClose={close}
        title={title}
        size={size ?? "md"}
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <Ask {...form} color={color} onClose={close} />
      </Modal>
    </>
  );
}

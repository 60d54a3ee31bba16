import {
  ActionIcon,
  Button,
  Fieldset,
  Group,
  NativeSelect,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { type FormErrors, useForm } from "@mantine/form";
import type { ReactNode } from "react";
import { Refusal } from "../layout/Refusal";
import { CURRENCIES, checks, NEW_TICKET_TYPE, type Typed } from "./form";

const ZONES = Intl.supportedValuesOf("timeZone");

type Props = {
  initial: Typed;
  /** An event that exists keeps its currency, its refund policy, and the names and taxes of its ticket types. */
  exists: boolean;
  problem: unknown;
  save: (typed: Typed) => void;
  buttons: ReactNode;
};

export function EventForm({ initial, exists, problem, save, buttons }: Props) {
  const form = useForm<Typed>({ initialValues: initial, validate: checks, validateInputOnBlur: true });
  const { ticket_types, tiers, currency } = form.values;
  const toFirstWrong = (wrong: FormErrors) => form.getInputNode(Object.keys(wrong)[0] ?? "")?.focus();
  return (
    <form onSubmit={form.onSubmit(save, toFirstWrong)} noValidate>
      <Stack maw={820}>
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          <TextInput label="Name" required {...form.getInputProps("name")} />
          <TextInput label="Venue" required {...form.getInputProps("venue")} />
          <TextInput label="Starts" type="datetime-local" required {...form.getInputProps("local_start")} />
          <TextInput label="Ends" type="datetime-local" required {...form.getInputProps("local_end")} />
          <Select
            label="Time zone of the venue"
            description="Start and end are on its clocks."
            data={[...new Set([initial.timezone, ...ZONES])]} // which an older name, or a browser's UTC, is not among
            searchable
            allowDeselect={false}
            required
            {...form.getInputProps("timezone")}
          />
          <NativeSelect
            label="Currency"
            description="Buyers are charged and refunded in it."
            data={CURRENCIES}
            disabled={exists}
            {...form.getInputProps("currency")}
          />
        </SimpleGrid>
        <Textarea label="Description" autosize minRows={3} maxLength={5000} {...form.getInputProps("description")} />
        <Fieldset legend="Ticket types">
          <Stack>
            {ticket_types.map((type, at) => (
              <Group key={type.id ?? `new-${at}`} align="flex-start" gap="sm" wrap="wrap">
                <TextInput
                  label="Name"
                  disabled={Boolean(type.id)}
                  flex="2 1 160px"
                  {...form.getInputProps(`ticket_types.${at}.name`)}
                />
                <TextInput
                  label={`Price, tax included (${currency})`}
                  inputMode="decimal"
                  flex="1 1 130px"
                  {...form.getInputProps(`ticket_types.${at}.price`)}
                />
                <TextInput
                  label="Tax %"
                  inputMode="decimal"
                  disabled={Boolean(type.id)}
                  flex="0 1 80px"
                  {...form.getInputProps(`ticket_types.${at}.tax`)}
                />
                <TextInput
                  label="Seats"
                  description={/^0+$/.test(type.capacity) ? "With 0 seats nobody can buy it." : undefined}
                  inputWrapperOrder={["label", "input", "description", "error"]}
                  inputMode="numeric"
                  flex="0 1 90px"
                  {...form.getInputProps(`ticket_types.${at}.capacity`)}
                />
                {!type.id && ticket_types.length > 1 && (
                  <ActionIcon
                    variant="subtle"
                    color="red"
                    size="lg"
                    mt={24}
                    aria-label={`Remove ticket type ${type.name || at + 1}`}
                    onClick={() => form.removeListItem("ticket_types", at)}
                  >
                    ✕
                  </ActionIcon>
                )}
              </Group>
            ))}
            <Button
              variant="default"
              style={{ alignSelf: "flex-start" }}
              onClick={() => form.insertListItem("ticket_types", { ...NEW_TICKET_TYPE })}
            >
              Add a ticket type
            </Button>
          </Stack>
        </Fieldset>
        {!exists && (
          <Fieldset legend="Refund policy">
            <Stack>
              <Text size="sm">
                What a buyer gets back, by how long before the start the cancellation arrives. It is frozen on each
                booking.
              </Text>
              {tiers.map((tier, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a tier is nothing but its place
                <Group key={at} align="flex-start" gap="sm">
                  <TextInput
                    label="At least hours before"
                    inputMode="numeric"
                    {...form.getInputProps(`tiers.${at}.hours_before`)}
                  />
                  <TextInput label="Percent back" inputMode="numeric" {...form.getInputProps(`tiers.${at}.percent`)} />
                  <ActionIcon
                    variant="subtle"
                    color="red"
                    size="lg"
                    mt={24}
                    aria-label={`Remove the tier of ${tier.hours_before} hours`}
                    onClick={() => form.removeListItem("tiers", at)}
                  >
                    ✕
                  </ActionIcon>
                </Group>
              ))}
              <Text size="sm">Later than that: nothing.</Text>
              <Button
                variant="default"
                style={{ alignSelf: "flex-start" }}
                onClick={() => form.insertListItem("tiers", { hours_before: "", percent: "" })}
              >
                Add a tier
              </Button>
            </Stack>
          </Fieldset>
        )}
        <Refusal error={problem} />
        <Group>{buttons}</Group>
      </Stack>
    </form>
  );
}

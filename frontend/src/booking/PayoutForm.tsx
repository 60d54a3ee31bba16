import { Alert, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "../api/client";
import { choosePayout, type RefundStep } from "../api/generated";
import { type Opened, worthTrying } from "./queries";

/** Another account for a refund that did not arrive. Sent again, the last one counts. */
export function PayoutForm({ refund, opened }: { refund: RefundStep; opened: Opened }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [holder, setHolder] = useState("");
  const [iban, setIban] = useState("");
  const [missing, setMissing] = useState(false);
  const [again, setAgain] = useState(false);
  const sending = useMutation({
    mutationFn: async () => {
      const body = { account_holder: holder.trim(), iban: iban.trim() };
      await choosePayout({ path: { refund_id: refund.id }, body, auth: opened.token, throwOnError: true });
    },
    retry: worthTrying,
    onSuccess: () => {
      setAgain(false);
      return cache.invalidateQueries({ queryKey: ["booking", opened.bookingId, "money"] });
    },
  });
  const wrong = sending.error instanceof Problem && sending.error.status === 422 ? sending.error.fields : {};
  function send(submitted: FormEvent) {
    submitted.preventDefault();
    setMissing(!holder.trim() || !iban.trim());
    if (holder.trim() && iban.trim() && !sending.isPending) sending.mutate();
  }
  if ((refund.payout_chosen || sending.isSuccess) && !again) {
    return (
      <Alert color="teal" role="status" mt="md">
        <Stack align="flex-start" gap="xs">
          <Text>{t("money.payout.sent")}</Text>
          <Button size="xs" variant="default" onClick={() => setAgain(true)}>
            {t("money.payout.again")}
          </Button>
        </Stack>
      </Alert>
    );
  }
  return (
    <form onSubmit={send} noValidate>
      <Stack mt="md" gap="sm">
        <Text fw={600}>{t("money.payout.title")}</Text>
        <Text size="sm" c="dimmed">
          {t("money.payout.text")}
        </Text>
        <TextInput
          label={t("money.payout.holder")}
          autoComplete="name"
          required
          maxLength={140}
          value={holder}
          onChange={(typed) => setHolder(typed.currentTarget.value)}
          error={(missing && !holder.trim()) || wrong.account_holder ? t("money.payout.wrongHolder") : undefined}
        />
        <TextInput
          label={t("money.payout.iban")}
          autoComplete="off"
          required
          maxLength={42}
          value={iban}
          onChange={(typed) => setIban(typed.currentTarget.value)}
          error={(missing && !iban.trim()) || wrong.iban ? t("money.payout.wrongIban") : undefined}
        />
        {sending.error != null && !wrong.iban && !wrong.account_holder && (
          <Alert color="red" role="alert">
            {t("money.payout.failed")}
          </Alert>
        )}
        <Group>
          <Button type="submit" loading={sending.isPending}>
            {t("money.payout.send")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

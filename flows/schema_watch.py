"""At each landing: does the contract still say what the operational schema does? Only contracts that name one pay."""

from flows.job import Job
from lake.contract import Contract
from lake.errors import ContractError
from lake.schemas.drift import schema_drift


def watch_schema(job: Job, contract: Contract) -> None:
    """Notes where a contract and its operational schema differ; alert rules and `ops.contract_drift` tell of it.

    Raises ContractError when they do and the contract refuses drift: nothing of the source is landed then.
    """
    if contract.schema is None:
        return
    findings = schema_drift(contract, job.project.root)
    job.run.note(
        "contract-drifted" if findings else "contract-agreed",
        contract.source,
        len(findings),
        contract_version=contract.version,
        findings=[finding.record() for finding in findings],
    )
    if findings and contract.drift == "refuse":
        more = f" And {len(findings) - 1} more." if len(findings) > 1 else ""
        raise ContractError(
            "contract-drifted",
            f"The contract refuses drift, and differs from its operational schema. {findings[0].message}{more}",
            cure=f"{findings[0].cure} `sluice contract check {contract.source}` tells all.",
            path=contract.path,
            line=int(findings[0].contract_place.rpartition(":")[2]),
        )
